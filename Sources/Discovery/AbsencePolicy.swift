// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// What a link does when knowledge of its service is missing, or says that nobody is there. New connections only: live
/// ones go on in every case.
package struct AbsencePolicy: Sendable, Hashable {
    /// When the registry has been silent for some time.
    package enum Loss: Sendable, Hashable {
        /// What is known stays in use for as long as it takes.
        case keep
        /// After so long, what is known is no longer believed.
        case drop(after: Duration)
    }

    /// When nothing is left to be used (docs/promises.md, "When an instance leaves").
    package enum Emptiness: Sendable, Hashable {
        /// Clients are reset.
        case refuse
        /// The instances that were used last are used on.
        case keep
        /// Somebody who is in no registry takes over.
        case fallback(Endpoint)
    }

    package var onLoss: Loss
    package var onEmpty: Emptiness

    package var fallback: Endpoint? {
        if case .fallback(let endpoint) = onEmpty { endpoint } else { nil }
    }

    package init(onLoss: Loss = .keep, onEmpty: Emptiness = .refuse) {
        self.onLoss = onLoss
        self.onEmpty = onEmpty
    }
}
