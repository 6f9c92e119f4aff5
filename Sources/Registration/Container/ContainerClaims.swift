// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker

/// Who says what is to be published: an operator, of one container, or the containers themselves, by their labels.
///
/// Both give claims; all that follows is the same for both.
package enum ContainerClaims: Sendable, Hashable {
    case one(ContainerSelector, ContainerClaim)
    case labelled(LabelRules)

    /// Whether there may be any number of them: then none of them is worth ending the process.
    var areLabelled: Bool {
        if case .labelled = self { true } else { false }
    }

    /// Whether what only an inspection says of a container counts: its variables, and what its image was called.
    package var needInspections: Bool {
        if case .labelled(let rules) = self { rules.compatibility == .registrator } else { false }
    }
}

/// The claims on the containers of the last listing.
struct ClaimedContainers: Sendable {
    private let claims: ContainerClaims
    private var found: [(container: Container, claims: [ContainerClaim])] = []
    /// Of labels, by container.
    private(set) var problems: [ContainerProblem] = []

    init(_ claims: ContainerClaims) { self.claims = claims }

    /// - Parameter containers: of the listing, by id.
    mutating func listed(_ containers: [Container]) {
        found = []
        problems = []
        switch claims {
        case .one(let selector, var claim):
            guard let container = selector.container(among: containers) else { return }
            claim.address = container.labels[PublishedAddress.labelName]
            found = [(container, [claim])]
        case .labelled(let rules):
            // Of one that has ended the engine does not say any more which ports it had.
            for container in containers where container.state.isAlive {
                let reading = rules.reading(of: container)
                if !reading.claims.isEmpty { found.append((container, reading.claims)) }
                problems += reading.problems.map { ContainerProblem(container: container.shownName, problem: $0) }
            }
        }
    }

    /// What is to be thought of each; one at least of an operator's.
    func findings(_ lives: ContainerLives) -> [ContainerFinding] {
        if case .one(_, let claim) = claims, found.isEmpty {
            let why: ContainerVerdict.Absence = lives.containers == nil ? .unlisted : .noSuchContainer
            return [ContainerFinding(claim: claim, container: nil, name: nil, verdict: .absent(why))]
        }
        return found.flatMap { container, claims in
            claims.map { claim in
                ContainerFinding(
                    claim: claim, container: container.id, name: container.shownName,
                    verdict: lives.verdict(of: claim, on: container))
            }
        }
    }
}

/// A label that cannot be used, and whose it is.
struct ContainerProblem: Sendable, Hashable {
    let container: String
    let problem: LabelProblem
}
