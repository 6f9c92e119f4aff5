// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel

/// What a `ContainerRegistrar` knows: of the containers, of the engine, and of what could be published.
///
/// Pure: times come by a stopwatch.
struct ContainerSituation: Sendable {
    /// What the last listing says of all containers.
    struct Engine: Sendable, Hashable {
        var addresses: Set<IPAddress> = []
        /// Whether this process runs in one of them, by its host's name.
        var hasUs = false
    }

    /// What is claimed, as it is now; where each is reached is to be found out.
    struct View: Sendable, Hashable {
        /// Whether the engine has ever said what there is.
        let hasListing: Bool
        let findings: [ContainerFinding]
        let problems: [ContainerProblem]
        let engine: Engine
    }

    private let surroundings: NodeIdentity.Surroundings
    private var lives = ContainerLives()
    private var claimed: ClaimedContainers
    private var engine = Engine()
    private var watch = InstanceWatch()
    /// Why the engine is away; nil while it is there.
    private(set) var lost: DockerError?

    init(_ claims: ContainerClaims, _ surroundings: NodeIdentity.Surroundings) {
        claimed = ClaimedContainers(claims)
        self.surroundings = surroundings
    }

    mutating func updated(_ update: ContainerUpdate, now: Duration) {
        switch update {
        case .listing(let containers):
            lost = nil
            engine.addresses = Set(containers.flatMap { $0.networks.values.joined() })
            engine.hasUs = surroundings.besides(containers).isContainer
            lives.listed(containers, now: now)
            claimed.listed(lives.containers ?? [])
            watch.found()
        case .event(let event): lives.happened(event, now: now)
        case .lost(let error):
            guard lost == nil else { return }
            lost = error
            lives.lost()
            watch.lost(now: now)
        }
    }

    mutating func view(now: Duration) -> View {
        lives.timeReached(now)
        return View(
            hasListing: lives.containers != nil, findings: claimed.findings(lives), problems: claimed.problems,
            engine: engine)
    }

    // MARK: Publishing

    /// - Parameter offers: what can be published, of the last view.
    mutating func offered(_ offers: [InstanceWatch.Offer], now: Duration) { watch.offered(offers, now: now) }

    /// What is to be published now.
    mutating func decision(now: Duration) -> InstanceWatch.Decision {
        watch.timeReached(now)
        return watch.decision(now: now)
    }

    /// When time alone changes the view or the decision; nil for never.
    func deadline(now: Duration) -> Duration? {
        [lives.deadline, watch.deadline(now: now)].compactMap(\.self).min()
    }

    // MARK: Probing

    mutating func takeProbes(now: Duration, limit: Int) -> [InstanceWatch.Probe] {
        watch.takeProbes(now: now, limit: limit)
    }

    func nextProbe(now: Duration) -> Duration? { watch.nextProbe(now: now) }

    /// - Parameter accepts: whether a connection was accepted.
    mutating func probed(_ probe: InstanceWatch.Probe, _ accepts: Bool, now: Duration) {
        watch.probed(probe, accepts, now: now)
    }
}
