// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// An instance that this process is to publish, and as what.
package struct Wanted: Sendable, Hashable {
    package let registration: Registration
    package let state: InstanceRecord.State

    package init(_ registration: Registration, _ state: InstanceRecord.State = .up) {
        self.registration = registration
        self.state = state
    }
}
