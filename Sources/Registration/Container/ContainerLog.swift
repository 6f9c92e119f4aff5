// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import ServiceModel

/// What a `ContainerRegistrar` tells: every change of state once.
///
/// Of an operator's one container it tells where it waits and what it finds. With labels it tells only what is wrong: the
/// rest is told by the registrator, and most of a host's containers are none of ours.
struct ContainerLog {
    private enum Kind: Hashable {
        case one(ContainerSelector)
        case labelled
    }

    /// A port of a container, or what an operator calls one.
    private struct Subject: Hashable {
        let container: String?
        let port: String
    }

    private struct Row {
        var hasFound = false
        var waitingFor: ContainerVerdict.Absence?
        var problem: String?
    }

    private let logger: Logger
    private let kind: Kind
    private var isLost = false
    private var rows: [Subject: Row] = [:]
    /// Said already, and still so.
    private var problems: Set<ContainerProblem> = []
    private var rivals: Set<InstanceWatch.ID> = []
    private var silent: Set<InstanceWatch.ID> = []
    private var unidentified: IdentityError?

    init(logger: Logger, claims: ContainerClaims) {
        self.logger = logger
        kind = if case .one(let selector, _) = claims { .one(selector) } else { .labelled }
    }

    /// - Parameter error: why the engine is away; nil while it is there.
    mutating func engine(lost error: DockerError?) {
        guard isLost != (error != nil) else { return }
        isLost = error != nil
        if let error {
            logger.warning("container engine cannot be reached", metadata: ["error": "\(error)"])
        } else {
            logger.info("container engine answers again")
        }
    }

    /// All that has come of what the engine said.
    mutating func tell(
        _ view: ContainerSituation.View, _ outcome: ContainerPublisher.Outcome, _ decision: InstanceWatch.Decision
    ) {
        unidentified(outcome.unidentified)
        forget(but: view.findings)
        told(view.problems)
        for finding in view.findings {
            if case .absent(let why) = finding.verdict { absent(finding, why) }
        }
        for (finding, result) in outcome.results {
            switch result {
            case .failure(let error): unpublishable(finding, error)
            case .success(let endpoint):
                let id = finding.container.map {
                    InstanceWatch.ID(
                        container: $0, port: finding.claim.port, endpoint: endpoint,
                        transport: finding.claim.transport)
                }
                switch id.flatMap({ decision.ended[$0] }) {
                case .refused: absent(finding, .engineAwayAndRefused)
                case .tooLong: absent(finding, .engineAway)
                case nil: found(finding, at: endpoint)
                }
            }
        }
        silent(decision.silent)
        rivals(decision.rivals)
    }

    // MARK: What was found

    private mutating func found(_ finding: ContainerFinding, at endpoint: Endpoint) {
        let hadFound = rows[subject(finding)]?.hasFound ?? false
        rows[subject(finding)] = Row(hasFound: true)
        guard !hadFound, case .one = kind, case .present(let sighting) = finding.verdict else { return }
        logger.info(
            "container found",
            metadata: metadata(finding, ["name": "\(sighting.container)", "endpoint": "\(endpoint)"]))
    }

    /// What it never was, or is no longer. While a container that was there is away, its states on the way are nobody's
    /// news, but that it came back without its port is.
    private mutating func absent(_ finding: ContainerFinding, _ why: ContainerVerdict.Absence) {
        // Before the first listing there is nothing to tell of the container.
        guard why != .unlisted else { return }
        var row = rows[subject(finding)] ?? Row()
        let isGone = row.hasFound
        row.hasFound = false
        defer { rows[subject(finding)] = row }
        guard isGone || row.waitingFor == nil || (why.isMisconfigured && row.waitingFor != why) else { return }
        guard case .one = kind else {
            guard why.isMisconfigured, row.waitingFor != why else { return }
            row.waitingFor = why
            logger.warning("container's port cannot be published", metadata: metadata(finding, ["why": "\(why)"]))
            return
        }
        row.waitingFor = why
        let message: Logger.Message = isGone ? "container gone" : "waiting for the container"
        logger.info(message, metadata: metadata(finding, ["why": "\(why)"]))
    }

    /// It is there, but cannot be published.
    private mutating func unpublishable(_ finding: ContainerFinding, _ error: any Error) {
        var row = rows[subject(finding)] ?? Row()
        row.hasFound = false
        defer { rows[subject(finding)] = row }
        guard row.problem != "\(error)" else { return }
        row.problem = "\(error)"
        logger.error("container cannot be published", metadata: metadata(finding, ["error": "\(error)"]))
    }

    /// Nothing at all can be published.
    private mutating func unidentified(_ error: IdentityError?) {
        guard unidentified != error else { return }
        unidentified = error
        if let error { logger.error("nothing can be published", metadata: ["error": "\(error)"]) }
    }

    /// Containers that are gone.
    private mutating func forget(but findings: [ContainerFinding]) {
        let subjects = Set(findings.map(subject))
        rows = rows.filter { subjects.contains($0.key) }
    }

    private mutating func told(_ found: [ContainerProblem]) {
        for problem in found where !problems.contains(problem) {
            logger.warning(
                "label cannot be used",
                metadata: [
                    "container": "\(problem.container)", "label": "\(problem.problem.label)",
                    "value": "\(problem.problem.value)", "allowed": "\(problem.problem.allowed)",
                ])
        }
        problems = Set(found)
    }

    private mutating func rivals(_ found: [InstanceWatch.Rivalry]) {
        for rivalry in found where !rivals.contains(rivalry.loser.id) {
            let registration = rivalry.loser.wanted.registration
            logger.error(
                "two containers claim one key",
                metadata: [
                    "container": "\(rivalry.loser.name)", "service": "\(registration.service)",
                    "instance": "\(registration.instance)", "published": "\(rivalry.winner.name)",
                ])
        }
        rivals = Set(found.map(\.loser.id))
    }

    /// Published, though their ports have accepted nothing.
    private mutating func silent(_ offers: [InstanceWatch.Offer]) {
        for offer in offers where !silent.contains(offer.id) {
            logger.warning(
                "port accepts no connections, published all the same",
                metadata: [
                    "container": "\(offer.name)", "endpoint": "\(offer.id.endpoint)",
                ])
        }
        silent = Set(offers.map(\.id))
    }

    private func subject(_ finding: ContainerFinding) -> Subject {
        guard case .labelled = kind else { return Subject(container: nil, port: "") }
        return Subject(container: finding.container, port: finding.claim.portText)
    }

    private func metadata(_ finding: ContainerFinding, _ more: Logger.Metadata) -> Logger.Metadata {
        let container = if case .one(let selector) = kind { selector.name } else { finding.name ?? "" }
        return more.merging(["container": "\(container)", "port": "\(finding.claim.port)"]) { own, _ in own }
    }
}

extension InstanceWatch.Offer {
    fileprivate var name: String { wanted.registration.container ?? id.container }
}
