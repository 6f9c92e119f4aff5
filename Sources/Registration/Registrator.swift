// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials
package import Logging
package import Registry
import ServiceModel
import Synchronization

/// Publishes the instances that are wanted for as long as it runs: puts them under one lease, looks after them, changes
/// them when others are wanted, puts them again when the lease was lost, and takes them back in good order.
///
/// Nothing that stands in the store ends it: what another keeps is logged, counted and tried again.
///
/// ## Concurrency
/// One `run()`. At any time one task of it talks to the store for the keys; `withdraw()` cancels that task, whatever it
/// waits for, before it begins its own work. `publish` may be called from anywhere and never waits. What is published is
/// behind one lock, never held over an await.
package final class Registrator: Sendable {
    let store: any RegistryStore
    let configuration: RegistratorConfiguration
    let log: RegistratorLog
    let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration
    private let wallClock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    let planner: Mutex<RegistrationPlanner>
    let upkeep: Mutex<UpkeepRanges>
    private let changes = Signal()
    private let withdrawal: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    /// Before the first grant, this long passes before we say that we wait.
    private static let noticeDelay = Duration.seconds(1)
    /// etcd without space needs an operator: asking more often only loads it (docs/promises.md, "Registration").
    private static let outOfSpaceDelay = Duration.seconds(5)
    /// A plan is made again at once when the store has changed under it, but not for ever.
    private static let immediateAttempts = 4

    /// - Parameters:
    ///   - registrations: what is wanted, all up, until `publish` says otherwise; each under a key of its own.
    ///   - wallClock: for `since`.
    ///   - random: 0..<1, for the jitter of retries.
    package init(
        store: any RegistryStore, configuration: RegistratorConfiguration, registrations: [Registration],
        logger: Logger, clock: any Clock<Duration> = ContinuousClock(),
        wallClock: @escaping @Sendable () -> Date = { Date.now },
        random: @escaping @Sendable () -> Double = { Double.random(in: 0..<1) }
    ) {
        self.store = store
        self.configuration = configuration
        self.clock = clock
        elapsed = clock.stopwatch()
        self.wallClock = wallClock
        self.random = random
        log = RegistratorLog(logger: logger, node: configuration.identity.node)
        planner = Mutex(
            RegistrationPlanner(
                layout: configuration.layout, also: configuration.also, identity: configuration.identity,
                drainTime: configuration.drainTime, wanted: registrations.map { Wanted($0) }))
        // There a role is confined to its node's keys, and to its node's presences.
        let own = configuration.layout.order == .nodeFirst ? [configuration.layout.root] : []
        upkeep = Mutex(UpkeepRanges(apart: own + configuration.also.map(\.root)))
        withdrawal = AsyncStream.makeStream()
    }

    package func statistics() -> RegistratorStatistics { log.statistics }

    /// Says what is wanted from now on: the whole set, instead of what was wanted before.
    ///
    /// What is new is put, what has changed rewritten under its key, what is no longer wanted rewritten as `draining` and
    /// deleted after the drain time; all at once, or as soon as the store is there. Without effect after `withdraw()`.
    /// - Parameter wanted: of two under one key the first counts.
    package func publish(_ wanted: [Wanted]) {
        planner.withLock { $0.wantedChanged(to: wanted, at: elapsed()) }
        changes.raise()
    }

    /// Asks `run()` to take the instances back, or to leave them as `onExit` says, and return; a second call changes
    /// nothing.
    package func withdraw() { withdrawal.continuation.finish() }

    /// Publishes until `withdraw()` has been carried out or the store has stopped.
    /// - Throws: `CancellationError` when cancelled: nothing is drained then.
    package func run() async throws {
        let end: OwnerEnd = configuration.onExit == .keep ? .expire : .revoke
        try await store.withOwner(timeToLive: configuration.timeToLive, atEnd: end) { owner in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                group.addTask { [self] in
                    try await follow(owner)
                    return true
                }
                group.addTask { [withdrawal] in
                    for await _ in withdrawal.stream {}
                    return true
                }
                group.addTask { [self] in
                    try await clock.sleep(for: Self.noticeDelay)
                    if owner.lease == nil { log.waiting() }
                    return false
                }
                while let isOver = try await group.next(), !isOver {}
                group.cancelAll()
                // The cancelled ones end by CancellationError, which says nothing new.
                while let result = await group.nextResult() { _ = result }
            }
            try Task.checkCancellation()
            switch configuration.onExit {
            case .deregister: await leave(owner)
            case .keep: log.left(planner.withLock { $0.standing }, for: configuration.timeToLive)
            }
        }
    }

    // MARK: Publishing

    /// Keeps everything published under one lease after another.
    private func follow(_ owner: any RegistryOwner) async throws {
        var lifetimes = owner.lifetimes.makeAsyncIterator()
        var event = await lifetimes.next(isolation: #isolation)
        while let current = event {
            switch current {
            case .lost(let lease):
                planner.withLock { $0.leaseLost() }
                log.leaseLost(lease)
                event = await lifetimes.next(isolation: #isolation)
            case .granted(let lease, _):
                planner.withLock { $0.leaseGranted(lease) }
                log.leaseGranted(lease)
                event = await withTaskGroup(of: Void.self) { group in
                    group.addTask { try? await self.keep() }
                    defer { group.cancelAll() }
                    return await lifetimes.next(isolation: #isolation)
                }
            }
        }
        try Task.checkCancellation()
    }

    private enum Outcome {
        case settled
        /// Some key is in other hands.
        case contested
        case failed(atLeast: Duration)
        /// Another machine goes by our name; nothing of ours may stand beside it.
        case rival(asOf: Int64)
    }

    /// - Throws: only when cancelled.
    private func keep() async throws {
        var backoff = Backoff.ofWriter
        while true {
            // A pass that is cancelled fails as if the store were away, which is nobody's news.
            try Task.checkCancellation()
            let outcome = await pass()
            try Task.checkCancellation()
            switch outcome {
            case .settled:
                backoff.reset()
                await untilChange(atMost: configuration.upkeep, orDue: true)
            case .contested: await untilChange(atMost: backoff.next(random: random()), orDue: true)
            case .failed(let least): await untilChange(atMost: max(least, backoff.next(random: random())))
            case .rival(let revision):
                try await untilNodeChanges(after: revision, atMost: backoff.next(random: random()))
            }
        }
    }

    /// Waits until something else is wanted. When the store has failed, what is due has to wait with the rest.
    private func untilChange(atMost limit: Duration, orDue: Bool = false) async {
        let due = orDue ? planner.withLock { $0.deadline } : nil
        let deadline = elapsed() + limit
        await changes.wait(until: due.map { min($0, deadline) } ?? deadline, by: clock, elapsed)
    }

    /// Looks at what stands and mends it.
    private func pass() async -> Outcome {
        do throws(RegistryError) {
            var heads = try await heads()
            if let revision = try await rivalry(heads) { return .rival(asOf: revision) }
            for attempt in 0..<Self.immediateAttempts {
                if attempt > 0 { heads = try await self.heads() }
                guard let isContested = try await reconcile(heads) else { continue }
                log.succeeded()
                return isContested ? .contested : .settled
            }
            return .failed(atLeast: .zero)
        } catch {
            let hasPublished = planner.withLock { $0.hasPublished }
            log.failed(error, isWaiting: !hasPublished)
            guard error.code == .outOfSpace else { return .failed(atLeast: .zero) }
            await removeLeaving()
            return .failed(atLeast: Self.outOfSpaceDelay)
        }
    }

    /// Reads what the registrators of our node say of themselves, if others are there than the last time.
    /// - Returns: of a rival the revision at which it stood, as long as nothing of ours stands beside it.
    private func rivalry(_ heads: [String: RegistryEntry]) async throws(RegistryError) -> Int64? {
        let nodeRange = configuration.layout.nodeRange(configuration.identity.node)
        let siblings = heads.values.filter { nodeRange.contains($0.key) }
        guard planner.withLock({ $0.areNews(siblings) }) else { return nil }
        let presences = try await store.list(nodeRange)
        let (rival, hasPublished) = planner.withLock { planner in
            (planner.presencesRead(presences.entries), planner.hasPublished)
        }
        log.rival(rival)
        return rival != nil && !hasPublished ? presences.revision : nil
    }

    func now() -> RegistrationPlanner.Moment {
        RegistrationPlanner.Moment(elapsed(), wallClock().formatted(.iso8601))
    }
}
