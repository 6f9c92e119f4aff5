// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel

/// What a `ContainerRegistrar` knows: of its container, of the engine, and of what it has published.
///
/// Pure: times come by a stopwatch.
struct ContainerSituation: Sendable {
    /// What the last listing says of all containers.
    struct Engine: Sendable, Hashable {
        var addresses: Set<IPAddress> = []
        /// Whether this process runs in one of them, by its host's name.
        var hasUs = false
    }

    /// What is to be done now follows from this.
    struct View: Sendable {
        let verdict: ContainerVerdict
        let engine: Engine
        /// Why the engine is away; nil while it is there.
        let lost: DockerError?
    }

    private let surroundings: NodeIdentity.Surroundings
    private var rules: ContainerRules
    private var engine = Engine()
    private var lost: DockerError?
    private var outage: EngineOutage?
    /// Where the container is published; nil while it is not.
    var published: Endpoint?

    init(_ selector: ContainerSelector, _ surroundings: NodeIdentity.Surroundings) {
        rules = ContainerRules(selector)
        self.surroundings = surroundings
    }

    mutating func updated(_ update: ContainerUpdate, now: Duration) {
        switch update {
        case .listing(let containers):
            lost = nil
            outage = nil
            engine.addresses = Set(containers.flatMap { $0.networks.values.joined() })
            engine.hasUs = surroundings.besides(containers).isContainer
            rules.listed(containers, now: now)
        case .event(let event): rules.happened(event, now: now)
        case .lost(let error):
            guard outage == nil else { return }
            lost = error
            outage = EngineOutage(since: now)
            rules.lost()
        }
    }

    mutating func view(now: Duration) -> View {
        rules.timeReached(now)
        var verdict = rules.verdict
        if case .present = verdict, let end = outage?.end(now: now) {
            verdict = .absent(end == .refused ? .engineAwayAndRefused : .engineAway)
        }
        return View(verdict: verdict, engine: engine, lost: lost)
    }

    /// When time alone changes the view; nil for never.
    func deadline(now: Duration) -> Duration? {
        guard let outage else { return rules.deadline }
        return outage.end(now: now) == nil ? outage.deadline : nil
    }

    // MARK: Probing

    struct Probe: Sendable {
        let endpoint: Endpoint
        let dueAt: Duration
        fileprivate let outage: Duration
    }

    /// The next probe; nil when there is none to be made. Only TCP says whether it is there.
    var nextProbe: Probe? {
        guard let outage, let published, rules.selector.transport == .tcp else { return nil }
        return Probe(endpoint: published, dueAt: outage.nextProbe, outage: outage.since)
    }

    /// - Parameter accepts: whether a connection was accepted.
    mutating func probed(_ probe: Probe, _ accepts: Bool, now: Duration) {
        guard outage?.since == probe.outage, published == probe.endpoint else { return }
        outage?.probed(accepts, now: now)
    }
}
