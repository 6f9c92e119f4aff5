// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Whose connections are drained or cut.
package enum RelayTarget: Sendable, Hashable {
    case link(Link.ID)
    case instance(InstanceID)
    /// Of the instance's connections those that came by this link.
    case member(Link.ID, InstanceID)
}

/// Why the engine's owner ends connections that would go on.
package enum CutReason: UInt8, Sendable, Hashable, CaseIterable {
    /// The instance is known to be gone or must not be used any more.
    case instanceGone
    /// An operator asked for it.
    case requested
}
