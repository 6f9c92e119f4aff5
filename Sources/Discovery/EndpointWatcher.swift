// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials
package import Logging
package import Registry
package import ServiceModel
import Synchronization

/// Follows the linked services in the registry and tells the relay, through `snapshots`, who may take new connections.
///
/// It only carries: what anything means is decided by `EndpointTable`. Whatever goes wrong with the registry, what is
/// known stays in use.
///
/// ## Concurrency
/// One `run()`, whose child tasks do all the waiting. The tables are behind one lock, never held over an await.
package final class EndpointWatcher: Sendable {
    /// Connects and lease questions under way at once: enough to ask a large service within seconds, without taking the
    /// descriptors that the relay lives on.
    static let questionsAtOnce = 64
    /// Snapshots of one burst of changes become one (docs/promises.md, "Reading").
    static let coalescing = Duration.milliseconds(20)
    /// From here on one watch of the whole prefix costs the registry less than one a service (docs/promises.md, "Reading").
    static let separateWatches = 64

    /// A watch: one service's range, or every one's, also of those that are not linked.
    struct Scope: Sendable {
        let range: RegistryRange
        let services: [ServiceName]
        /// Raised when the watch is to be begun anew.
        let restart = Signal()
    }

    struct State: Sendable {
        var tables: ServiceTables
        /// Keys that the last listing of each range brought, whoever's they are.
        var listed: [RegistryRange: Int] = [:]
        var ownEndpoints: Set<Endpoint> = []
        /// When the timekeeper wakes.
        var armed: Duration?
    }

    struct LeaseQuestion: Sendable {
        let service: ServiceName
        let lease: RegistryLease
        let question: Int
    }

    struct ProbeQuestion: Sendable {
        let service: ServiceName
        let endpoint: Endpoint
        let question: Int
    }

    /// The newest snapshot of each service, the first one when the first listing is in.
    package let snapshots = EndpointSnapshots()

    let store: any RegistryStore
    let configuration: DiscoveryConfiguration
    let prober: any Prober
    let log: DiscoveryLog
    let clock: any Clock<Duration>
    /// Time of the tables.
    let elapsed: @Sendable () -> Duration
    /// For what is compared with the words of others: when a file was saved, when an operator's word ends.
    let wallClock: @Sendable () -> Date
    let random: @Sendable () -> Double
    let scopes: [Scope]
    let state: Mutex<State>
    let changes = Signal()
    /// As `changes`, for who saves.
    let unsaved = Signal()
    let deadlines = Signal()
    /// Raised when a name is to be looked up soon.
    let lookups = Signal()
    /// Whether also those are to be that were looked up lately.
    let hurry = Mutex(false)
    let leaseQuestions = AsyncStream.makeStream(of: LeaseQuestion.self)
    let probeQuestions = AsyncStream.makeStream(of: ProbeQuestion.self)
    let holds: HoldPublisher?

    /// - Parameters:
    ///   - random: 0..<1, for the jitter of retries and audits.
    package init(
        store: any RegistryStore, configuration: DiscoveryConfiguration, prober: any Prober, logger: Logger,
        clock: any Clock<Duration> = ContinuousClock(), wallClock: @escaping @Sendable () -> Date = { Date.now },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.store = store
        self.configuration = configuration
        self.prober = prober
        self.clock = clock
        self.wallClock = wallClock
        self.random = random
        log = DiscoveryLog(logger)
        elapsed = clock.stopwatch()
        scopes = Self.scopes(configuration)
        state = Mutex(State(tables: ServiceTables(configuration)))
        holds = configuration.holder.map { holder in
            HoldPublisher(
                store: store, layout: configuration.layout, holder: holder, logger: logger, clock: clock,
                wallClock: wallClock, random: random)
        }
    }

    private static func scopes(_ configuration: DiscoveryConfiguration) -> [Scope] {
        let services = Set(configuration.services).sorted()
        let elsewhere = services.compactMap { service in
            configuration.sources[service]?.prefix.map { Scope(range: .prefix("\($0)/"), services: [service]) }
        }
        let here = services.filter { configuration.sources[$0]?.prefix == nil }
        guard !here.isEmpty else { return elsewhere }
        guard configuration.layout.order == .serviceFirst, here.count <= separateWatches else {
            return [Scope(range: configuration.layout.servicesRange, services: here)] + elsewhere
        }
        return here.map { Scope(range: configuration.layout.range(of: $0), services: [$0]) } + elsewhere
    }

    /// What is known of each service, by name.
    package func report() -> [ServiceReport] { state.withLock { $0.tables.reports(now: elapsed()) } }

    /// How fresh all of it is, and how often watches have failed to tell.
    package func knowledge() -> KnowledgeReport {
        KnowledgeReport(store.health, drift: state.withLock { $0.tables.drift })
    }

    /// Looks again at which addresses are our own: to be called when a listener has been opened or closed.
    package func ownEndpointsChanged() { apply { _, _ in [] } }

    /// Follows the registry until cancelled; then `snapshots` ends.
    package func run() async throws {
        defer { snapshots.finish() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for scope in scopes {
                group.addTask { try await self.follow(scope) }
                group.addTask { try await self.audit(scope) }
            }
            group.addTask { try await self.followOverrides() }
            group.addTask { try await self.startWithoutRegistry() }
            if let lastGood = configuration.lastGood {
                group.addTask { try await self.keepLastGood(in: lastGood) }
            }
            if let resolver = configuration.resolver {
                group.addTask { try await self.followNames(by: resolver) }
            }
            if configuration.absences.values.contains(where: { $0.onLoss != .keep }) {
                group.addTask { try await self.watchSilence() }
            }
            group.addTask { try await self.publish() }
            group.addTask { try await self.keepTime() }
            group.addTask { await self.answer(self.leaseQuestions.stream) { await self.askLease($0) } }
            group.addTask { await self.answer(self.probeQuestions.stream) { await self.probe($0) } }
            if let holds {
                group.addTask {
                    try await holds.run { self.state.withLock { $0.tables.held(now: self.elapsed()) } }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: What happens

    /// Tells the tables something, and has done what they want.
    func apply(_ body: (inout ServiceTables, Duration) -> [ServiceTables.Order]) {
        let own = Set(configuration.ownEndpoints())
        let (orders, now, isEarlier) = state.withLock { state in
            // Read under the lock, so that time never falls from one call of the tables to the next.
            let now = elapsed()
            var orders: [ServiceTables.Order] = []
            if own != state.ownEndpoints {
                state.ownEndpoints = own
                orders = state.tables.ownEndpointsChanged(to: own, now: now)
            }
            orders += body(&state.tables, now)
            let deadline = state.tables.nextDeadline
            return (orders, now, deadline.map { $0 < state.armed ?? .seconds(Int64.max) } ?? false)
        }
        for order in orders { carryOut(order, now) }
        if isEarlier { deadlines.raise() }
        changes.raise()
        unsaved.raise()
    }

    private func carryOut(_ order: ServiceTables.Order, _ now: Duration) {
        switch order.action {
        case .askLease(let lease, let question):
            leaseQuestions.continuation.yield(
                LeaseQuestion(service: order.service, lease: lease, question: question))
        case .probe(let endpoint, let question):
            probeQuestions.continuation.yield(
                ProbeQuestion(service: order.service, endpoint: endpoint, question: question))
        case .resolve: lookups.raise()
        case .tell(let notice):
            log.tell(notice, of: order.service, now: now)
            switch notice {
            case .held, .holdEnded: holds?.changed()
            case .skipped: break
            }
        }
    }

    // MARK: Snapshots

    private func publish() async throws {
        while true {
            await changes.wait()
            try Task.checkCancellation()
            // What changes no snapshot, as an operator's word about another service, keeps none waiting.
            guard publishNow() else { continue }
            try await clock.sleep(for: Self.coalescing)
        }
    }

    /// - Returns: whether there was anything new.
    private func publishNow() -> Bool {
        let (publications, kept) = state.withLock { state in
            let publications = state.tables.publications(
                now: elapsed(), havePassedOn: snapshots.havePassedOn, released: configuration.released)
            return (publications, state.tables.takeNewlyKept())
        }
        for service in kept { log.kept(service) }
        for publication in publications {
            snapshots.publish(publication.snapshot, of: publication.service)
            guard let summary = publication.summary else { continue }
            log.changed(publication.service, summary, sequence: publication.snapshot.sequence)
        }
        // A summary that was put off has to be told in its time.
        if publications.contains(where: { $0.summary == nil }) { deadlines.raise() }
        return !publications.isEmpty
    }

    // MARK: Time

    /// How often an instance without a slot is given another chance.
    private static let slotInterval = Duration.seconds(1)

    private func keepTime() async throws {
        while true {
            let deadline = state.withLock { state in
                let now = elapsed()
                let (due, next) = state.tables.overdueSummaries(now: now)
                for (service, summary) in due { log.changed(service, summary, sequence: nil) }
                let slots = state.tables.isShortOfSlots ? now + Self.slotInterval : nil
                state.armed = [next, slots, state.tables.nextDeadline].compactMap(\.self).min()
                return state.armed
            }
            await deadlines.wait(until: deadline, by: clock, elapsed)
            try Task.checkCancellation()
            let isStale = store.health.staleSince != nil
            apply { $0.timeReached($1, isStale: isStale) }
        }
    }
}
