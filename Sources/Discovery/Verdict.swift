// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry

/// What a link does with an instance, as far as the registry and the link's own settings say.
///
/// What only a running proxy knows is not in it: that an instance was taken out of use for its failures, or that so many
/// were that all are used.
package enum Verdict: Sendable, Hashable, CaseIterable {
    case used
    /// Its key is gone; used while it accepts connections.
    case held
    /// Its key is gone, and what that means is being found out.
    case leaving
    /// Used when nobody of a lower priority, or preferred to it, can be.
    case spare
    /// Its registrator says so.
    case draining
    /// An operator says so.
    case drained
    /// It is to take no new connections.
    case weightZero
    /// The link does not want it (`Selection.filters`).
    case notSelected

    package var isUsed: Bool {
        switch self {
        case .used, .held, .leaving, .spare: true
        case .draining, .drained, .weightZero, .notSelected: false
        }
    }

    /// Stable and machine-readable; nil where there is nothing to say.
    package var reason: String? {
        switch self {
        case .used: nil
        case .held: "held"
        case .leaving: "leaving"
        case .spare: "spare"
        case .draining: "draining"
        case .drained: "drained"
        case .weightZero: "weight-0"
        case .notSelected: "not-selected"
        }
    }

    /// Of a key that stands. What an operator says goes before what the registrator says: he can take it back.
    /// - Parameter first: the lowest tier of those in use; nil while there are none.
    init(_ member: Member, first: Int?) {
        self =
            if !member.isSelected {
                .notSelected
            } else if member.override == .draining {
                .drained
            } else if member.isStatedDraining {
                .draining
            } else if member.weight == 0 {
                .weightZero
            } else {
                first.map { member.tier > $0 } ?? false ? .spare : .used
            }
    }
}
