// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import FoundationEssentials
package import Logging
package import Registry
package import ServiceModel
import Synchronization

/// Publishes one port of a container for as long as it runs: waits for the container, publishes where it can be reached,
/// follows it through stops and restarts, and takes it back in good order.
///
/// An engine that is away is not one without containers: what is published stays while it accepts connections, for two
/// minutes at most.
///
/// ## Concurrency
/// One `run()`. What is known is behind one lock, never held over an await; one task concludes from it and publishes.
package final class ContainerRegistrar: Sendable {
    private struct State {
        var situation: ContainerSituation
        /// From the first publication on.
        var registrator: Registrator?
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
    ///   - prober: for the published address, while the engine is away.
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
        state = Mutex(State(situation: ContainerSituation(configuration.selector, host.surroundings)))
    }

    /// Asks `run()` to take back what it has published and return; a second call changes nothing. Before anything was
    /// published, `run()` just returns.
    package func withdraw() {
        // One that is made from now on is not run any more.
        registrators.continuation.finish()
        state.withLock { $0.registrator }?.withdraw()
    }

    /// Publishes until `withdraw()` has been carried out or the store has stopped.
    /// - Throws: `IdentityError` or `Registration.Problem` when the container, seen for the first time, cannot be
    ///   published; `CancellationError` when cancelled: the lease is revoked then, without draining.
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
        if case .lost = update { probes.raise() }
    }

    // MARK: Concluding

    /// Between two attempts to publish what could not be published; a network that comes up takes seconds.
    private static let retryPause = Duration.seconds(5)

    /// Says to the registrator what is wanted, whenever that has changed.
    private func conclude() async throws {
        var publisher = ContainerPublisher(configuration: configuration, host: host, process: process)
        var log = ContainerLog(logger: logger, selector: configuration.selector)
        var last: ContainerVerdict?
        var nextTry: Duration?
        while true {
            let (view, deadline) = state.withLock { state in
                let now = elapsed()
                return (state.situation.view(now: now), state.situation.deadline(now: now))
            }
            log.engine(lost: view.lost)
            if view.verdict != last || nextTry.map({ $0 <= elapsed() }) ?? false {
                last = view.verdict
                let isDone = try await follow(view, &publisher, &log)
                nextTry = isDone ? nil : elapsed() + Self.retryPause
            }
            await changes.wait(until: [deadline, nextTry].compactMap(\.self).min(), by: clock, elapsed)
            try Task.checkCancellation()
        }
    }

    /// - Returns: false when it is to be tried again: an interface may get its address, a name its answer.
    private func follow(
        _ view: ContainerSituation.View, _ publisher: inout ContainerPublisher, _ log: inout ContainerLog
    ) async throws -> Bool {
        switch view.verdict {
        case .absent(let why):
            log.absent(why)
            publish([])
        case .present(let sighting):
            do {
                let registration = try await publisher.registration(of: sighting, view.engine)
                log.found(sighting, at: registration.endpoint)
                publish([Wanted(registration, sighting.state)], as: publisher.identity)
            } catch {
                // Whether the way to it was misjudged by us or is not there at all: nobody has yet relied on it.
                guard state.withLock({ $0.registrator != nil }) else { throw error }
                log.unpublishable(error)
                publish([])
                return false
            }
        }
        return true
    }

    /// - Parameter identity: known once something can be published; then the registrator is made.
    private func publish(_ wanted: [Wanted], as identity: NodeIdentity? = nil) {
        let (registrator, isNew) = state.withLock { state in
            state.situation.published = wanted.first?.registration.endpoint
            let isNew = state.registrator == nil
            if isNew, let identity { state.registrator = makeRegistrator(as: identity) }
            return (state.registrator, isNew)
        }
        registrator?.publish(wanted)
        if isNew, let registrator { registrators.continuation.yield(registrator) }
        probes.raise()
    }

    private func makeRegistrator(as identity: NodeIdentity) -> Registrator {
        var settings = RegistratorConfiguration(layout: configuration.layout, identity: identity)
        settings.timeToLive = configuration.timeToLive
        settings.drainTime = configuration.drainTime
        return Registrator(
            store: store, configuration: settings, registrations: [], logger: logger, clock: clock,
            wallClock: wallClock, random: random)
    }

    // MARK: Probing

    /// Looks after what is published while the engine does not.
    private func probe() async throws {
        while true {
            let next = state.withLock { $0.situation.nextProbe }
            guard let next, next.dueAt <= elapsed() else {
                await probes.wait(until: next?.dueAt, by: clock, elapsed)
                try Task.checkCancellation()
                continue
            }
            let accepts = await prober.accepts(next.endpoint, within: EngineOutage.probeLimit)
            try Task.checkCancellation()
            state.withLock { $0.situation.probed(next, accepts, now: elapsed()) }
            changes.raise()
        }
    }
}
