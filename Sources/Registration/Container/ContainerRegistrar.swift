// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import FoundationEssentials
package import Logging
package import Registry
package import ServiceModel
import Synchronization

/// Publishes ports of containers for as long as they run: waits for the containers, publishes where they can be reached,
/// follows them through stops and restarts, and takes all of it back in good order.
///
/// An engine that is away is not one without containers: what is published stays while it accepts connections, for two
/// minutes at most.
///
/// ## Concurrency
/// One `run()`. What is known is behind one lock, never held over an await; one task concludes from it and publishes.
package final class ContainerRegistrar: Sendable {
    private struct State {
        var situation: ContainerSituation
        /// From the first publication on, or with labels from the first listing on.
        var registrator: Registrator?
        /// Probes under way.
        var probing = 0
    }

    private let configuration: ContainerRegistrarConfiguration
    private let store: any RegistryStore
    private let updates: AsyncStream<ContainerUpdate>
    private let host: Host
    private let prober: any Prober
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let wallClock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let process: UInt64
    private let state: Mutex<State>
    private let changes = Signal()
    private let probes = Signal()
    private let registrators = AsyncStream.makeStream(of: Registrator.self)

    /// - Parameters:
    ///   - updates: of the engine; one consumer. When it ends, the engine counts as lost.
    ///   - prober: for published addresses: before they are, and while the engine is away.
    ///   - wallClock: for `since`.
    ///   - random: 0..<1, for the jitter of retries.
    ///   - process: 64 random bits, different for each start.
    package init(
        store: any RegistryStore, configuration: ContainerRegistrarConfiguration, updates: AsyncStream<ContainerUpdate>,
        host: Host, prober: any Prober, logger: Logger, clock: any Clock<Duration> = ContinuousClock(),
        wallClock: @escaping @Sendable () -> Date = { Date.now },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) },
        process: UInt64 = UInt64.random(in: .min ... .max)
    ) {
        self.configuration = configuration
        self.store = store
        self.updates = updates
        self.host = host
        self.prober = prober
        self.logger = logger
        self.clock = clock
        elapsed = clock.stopwatch()
        self.wallClock = wallClock
        self.random = random
        self.process = process
        state = Mutex(State(situation: ContainerSituation(configuration.claims, host.surroundings)))
    }

    /// Asks `run()` to take back what it has published and return; a second call changes nothing. Before anything was
    /// published, `run()` just returns.
    package func withdraw() {
        // One that is made from now on is not run any more.
        registrators.continuation.finish()
        state.withLock { $0.registrator }?.withdraw()
    }

    /// Publishes until `withdraw()` has been carried out or the store has stopped.
    /// - Throws: `IdentityError` or `Registration.Problem` when the one container, seen for the first time, cannot be
    ///   published (what labels claim is only logged then); `CancellationError` when cancelled: the lease is revoked then, without draining.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [self] in
                await consume()
                return false
            }
            group.addTask { [self] in
                try await conclude()
                return false
            }
            group.addTask { [self] in
                try await probe()
                return false
            }
            group.addTask { [registrators] in
                for await registrator in registrators.stream {
                    try await registrator.run()
                    break
                }
                return true
            }
            while let isOver = try await group.next(), !isOver {}
            group.cancelAll()
            // The cancelled ones end by CancellationError, which says nothing new.
            while let result = await group.nextResult() { _ = result }
        }
        try Task.checkCancellation()
    }

    private func consume() async {
        for await update in updates { updated(update) }
        guard !Task.isCancelled else { return }
        updated(.lost(DockerError(.cancelled, "the container engine is followed no longer")))
    }

    private func updated(_ update: ContainerUpdate) {
        state.withLock { $0.situation.updated(update, now: elapsed()) }
        changes.raise()
    }

    // MARK: Concluding

    /// Between two attempts to publish what could not be published; a network that comes up takes seconds.
    private static let retryPause = Duration.seconds(5)

    /// Says to the registrator what is wanted, whenever that has changed.
    private func conclude() async throws {
        var publisher = ContainerPublisher(configuration: configuration, host: host, process: process)
        var log = ContainerLog(logger: logger, claims: configuration.claims)
        var last: ContainerSituation.View?
        var outcome = ContainerPublisher.Outcome()
        var nextTry: Duration?
        var published: [Wanted]?
        while true {
            let (view, lost) = state.withLock { ($0.situation.view(now: elapsed()), $0.situation.lost) }
            log.engine(lost: lost)
            if view != last || nextTry.map({ $0 <= elapsed() }) ?? false {
                outcome = await publisher.outcome(of: view)
                try judge(outcome)
                (last, nextTry) = (view, outcome.isUnfinished ? elapsed() + Self.retryPause : nil)
                meet(outcome, as: publisher.identity)
            }
            let (decision, deadline) = state.withLock { state in
                state.situation.offered(outcome.offers, now: elapsed())
                return (state.situation.decision(now: elapsed()), state.situation.deadline(now: elapsed()))
            }
            log.tell(view, outcome, decision)
            let wanted = decision.wanted + decision.tentative
            if wanted != published ?? [] {
                state.withLock { $0.registrator }?.publish(wanted)
                published = wanted
            }
            probes.raise()
            await changes.wait(until: [deadline, nextTry].compactMap(\.self).min(), by: clock, elapsed)
            try Task.checkCancellation()
        }
    }

    /// Whether the way to an operator's container was misjudged by us or is not there at all: nobody has yet relied on it.
    private func judge(_ outcome: ContainerPublisher.Outcome) throws {
        guard !configuration.claims.areLabelled, state.withLock({ $0.registrator == nil }) else { return }
        if let error = outcome.unidentified { throw error }
        for case .failure(let error) in outcome.results.map(\.result) { throw error }
    }

    /// Makes the registrator once it is known who we are, and that there is something to publish or may be any time.
    private func meet(_ outcome: ContainerPublisher.Outcome, as identity: NodeIdentity?) {
        guard let identity, configuration.claims.areLabelled || !outcome.offers.isEmpty else { return }
        let registrator = state.withLock { state -> Registrator? in
            guard state.registrator == nil else { return nil }
            state.registrator = makeRegistrator(as: identity)
            return state.registrator
        }
        if let registrator { registrators.continuation.yield(registrator) }
    }

    private func makeRegistrator(as identity: NodeIdentity) -> Registrator {
        var settings = RegistratorConfiguration(layout: configuration.layout, identity: identity)
        settings.also = configuration.also
        settings.timeToLive = configuration.timeToLive
        settings.drainTime = configuration.drainTime
        settings.onExit = configuration.onExit
        return Registrator(
            store: store, configuration: settings, registrations: [], logger: logger, clock: clock,
            wallClock: wallClock, random: random)
    }

    // MARK: Probing

    /// At once: 300 containers that a host's start brings are asked in a moment, and descriptors are few.
    private static let probesAtOnce = 64

    /// Asks whether ports accept connections: before they are published, and while the engine is away.
    private func probe() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            while true {
                let (due, next) = state.withLock { state in
                    let now = elapsed()
                    let room = Self.probesAtOnce - state.probing
                    let due = state.situation.takeProbes(now: now, limit: room)
                    state.probing += due.count
                    return (due, due.count < room ? state.situation.nextProbe(now: now) : nil)
                }
                for probe in due { group.addTask { await self.carryOut(probe) } }
                await probes.wait(until: next, by: clock, elapsed)
                try Task.checkCancellation()
            }
        }
    }

    private func carryOut(_ probe: InstanceWatch.Probe) async {
        let accepts = await prober.accepts(probe.id.endpoint, within: EngineOutage.probeLimit)
        state.withLock { state in
            state.probing -= 1
            // An answer to nobody is none.
            if !Task.isCancelled { state.situation.probed(probe, accepts, now: elapsed()) }
        }
        changes.raise()
        probes.raise()
    }
}
