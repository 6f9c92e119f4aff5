// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// An instance that this process is to publish, and as what.
package struct Wanted: Sendable, Hashable {
    package let registration: Registration
    package let state: InstanceRecord.State
    /// Whether it is to stand only where a former process of our node has left it, up and at this address: who follows that
    /// one goes on with it, and publishes nothing anew of which it does not know yet whether it is fit.
    package let isTentative: Bool

    package init(_ registration: Registration, _ state: InstanceRecord.State = .up, isTentative: Bool = false) {
        self.registration = registration
        self.state = state
        self.isTentative = isTentative
    }
}
