// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials
package import Logging
package import Registry
import ServiceModel
import Synchronization

/// Publishes this process's instances for as long as it runs: puts them under one lease, looks after them, puts them
/// again when the lease was lost, and takes them back in good order.
///
/// Nothing that stands in the store ends it: what another keeps is logged, counted and tried again.
///
/// ## Concurrency
/// One `run()`. At any time one task of it talks to the store for the keys; `withdraw()` cancels that task, whatever it
/// waits for, before it begins its own work. What is published is behind one lock, never held over an await.
package final class Registrator: Sendable {
    private let store: any RegistryStore
    private let configuration: RegistratorConfiguration
    private let log: RegistratorLog
    private let clock: any Clock<Duration>
    private let wallClock: @Sendable () -> Date
    private let random: @Sendable () -> Double
    private let planner: Mutex<RegistrationPlanner>
    private let withdrawal: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)

    /// Before the first grant, this long passes before we say that we wait.
    private static let noticeDelay = Duration.seconds(1)
    /// etcd without space needs an operator: asking more often only loads it (docs/promises.md, "Registration").
    private static let outOfSpaceDelay = Duration.seconds(5)
    /// Promised for `draining` (docs/promises.md, "Registration"), so at least this long is spent on it.
    private static let drainingLimit = Duration.milliseconds(300)
    /// A plan is made again at once when the store has changed under it, but not for ever.
    private static let immediateAttempts = 4

    /// - Parameters:
    ///   - registrations: each under a key of its own.
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
        self.wallClock = wallClock
        self.random = random
        log = RegistratorLog(logger: logger, node: configuration.identity.node)
        let (layout, identity) = (configuration.layout, configuration.identity)
        planner = Mutex(RegistrationPlanner(layout: layout, identity: identity, registrations: registrations))
        withdrawal = AsyncStream.makeStream()
    }

    package func statistics() -> RegistratorStatistics { log.statistics }

    /// Asks `run()` to take the instances back and return; a second call changes nothing.
    package func withdraw() { withdrawal.continuation.finish() }

    /// Publishes until `withdraw()` has been carried out or the store has stopped.
    /// - Throws: `CancellationError` when cancelled: the lease is revoked then, without draining.
    package func run() async throws {
        try await store.withOwner(timeToLive: configuration.timeToLive) { owner in
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
            await leave(owner)
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
        case again(atLeast: Duration)
        /// Another machine goes by our name; nothing of ours may stand beside it.
        case rival(asOf: Int64)
    }

    /// - Throws: only when cancelled.
    private func keep() async throws {
        var backoff = Backoff.ofWriter
        while true {
            let outcome = await pass()
            try Task.checkCancellation()
            switch outcome {
            case .settled:
                backoff.reset()
                try await clock.sleep(for: configuration.upkeep)
            case .again(let least):
                try await clock.sleep(for: max(least, backoff.next(random: random())))
            case .rival(let revision):
                try await untilNodeChanges(after: revision, atMost: backoff.next(random: random()))
            }
        }
    }

    /// Looks at what stands and mends it.
    private func pass() async -> Outcome {
        do throws(RegistryError) {
            let nodeRange = configuration.layout.nodeRange(configuration.identity.node)
            let presences = try await store.list(nodeRange)
            let (rival, hasPublished) = planner.withLock { ($0.rival(among: presences.entries), $0.hasPublished) }
            log.rival(rival)
            if rival != nil, !hasPublished { return .rival(asOf: presences.revision) }
            for _ in 0..<Self.immediateAttempts {
                guard let isContested = try await reconcile(.up) else { continue }
                log.succeeded()
                return isContested ? .again(atLeast: .zero) : .settled
            }
            return .again(atLeast: .zero)
        } catch {
            let hasPublished = planner.withLock { $0.hasPublished }
            log.failed(error, isWaiting: !hasPublished)
            return .again(atLeast: error.code == .outOfSpace ? Self.outOfSpaceDelay : .zero)
        }
    }

    /// - Returns: whether some key is in other hands; nil when the store changed meanwhile, so that it has to be read
    ///   again.
    private func reconcile(_ goal: RegistrationPlanner.Goal) async throws(RegistryError) -> Bool? {
        let standing = try await read(goal)
        let now = timestamp()
        let plan = planner.withLock { $0.plan(goal, standing: standing, now: now) }
        log.tell(plan.notices, repeated: plan.repeated)
        return try await commit(plan.writes, goal, now: now) ? plan.isContested : nil
    }

    /// What stands under our keys, without those that stand as we left them.
    private func read(
        _ goal: RegistrationPlanner.Goal
    ) async throws(RegistryError) -> [String: RegistrationPlanner.Standing] {
        var standing: [String: RegistrationPlanner.Standing] = [:]
        var rest = planner.withLock { $0.keys }[...]
        while !rest.isEmpty {
            let results = await withTaskGroup { group in
                for key in rest.prefix(Self.parallelReads) { group.addTask { await (key, self.read(key, goal)) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for (key, result) in results { standing[key] = try result.get() }
            rest = rest.dropFirst(Self.parallelReads)
        }
        return standing
    }

    /// - Returns: nil when the key stands as we left it.
    private func read(
        _ key: String, _ goal: RegistrationPlanner.Goal
    ) async -> Result<RegistrationPlanner.Standing?, RegistryError> {
        do throws(RegistryError) {
            if goal == .up, planner.withLock({ $0.isWritten(key) }) {
                let head = try await store.list(.key(key), keysOnly: true).entries.first
                if planner.withLock({ $0.isUndisturbed(key, head) }) { return .success(nil) }
            }
            let entry = try await store.list(.key(key)).entries.first
            var isAlive = false
            if let lease = entry?.lease, !planner.withLock({ $0.isOwn(lease) }) {
                isAlive = try await store.remaining(of: lease) != nil
            }
            return .success(RegistrationPlanner.Standing(entry, isLeaseAlive: isAlive))
        } catch {
            return .failure(error)
        }
    }

    /// Enough to look at a hundred keys within a few round trips, few enough to leave the connection to others.
    private static let parallelReads = 32

    /// In transactions of as many writes as the store takes. - Returns: whether every guard held.
    private func commit(
        _ writes: [RegistryWrite], _ goal: RegistrationPlanner.Goal, now: String
    ) async throws(RegistryError) -> Bool {
        var rest = writes[...]
        while !rest.isEmpty {
            let batch = Array(rest.prefix(Self.batch))
            guard let revision = try await store.commit(batch) else { return false }
            let notices = planner.withLock { $0.committed(batch, revision: revision, since: now) }
            if goal == .up { log.tell(notices) }
            rest = rest.dropFirst(batch.count)
        }
        return true
    }

    /// etcd's default limit of operations in a transaction.
    private static let batch = 128

    /// Waits for something to change among the registrators of our node.
    private func untilNodeChanges(after revision: Int64, atMost limit: Duration) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [clock] in try await clock.sleep(for: limit) }
            group.addTask { [self] in
                let range = configuration.layout.nodeRange(configuration.identity.node)
                do {
                    try await store.withWatch(range, from: revision + 1) { events in
                        for try await _ in events { return }
                    }
                } catch {
                    try await clock.sleep(for: limit)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func timestamp() -> String { wallClock().formatted(.iso8601) }

    // MARK: Withdrawing

    /// `draining`, the drain time, the delete; the lease is revoked by leaving the owner's scope.
    private func leave(_ owner: any RegistryOwner) async {
        guard let lease = owner.lease else { return }
        planner.withLock { $0.leaseGranted(lease) }
        guard planner.withLock({ $0.hasPublished }) else { return }
        let own = planner.withLock { $0.standing }
        // What cannot be said within the drain time need not be waited for: the lease's end says it.
        let limit = max(configuration.drainTime, Self.drainingLimit)
        let isSaid = await limited(limit) { try await self.drain() }
        if isSaid == true { try? await clock.sleep(for: configuration.drainTime) }
        if isSaid != nil { await limited(Self.drainingLimit) { try await self.remove() } }
        log.withdrawn(own, isInOrder: isSaid == true)
    }

    /// - Returns: whether `draining` was written; false when the store takes no more values but may take deletes.
    private func drain() async throws -> Bool {
        var isFirst = true
        while true {
            do throws(RegistryError) {
                let quick = isFirst ? planner.withLock { $0.drain() } : []
                isFirst = false
                if !quick.isEmpty, try await commit(quick, .draining, now: timestamp()) { return true }
                if try await reconcile(.draining) != nil { return true }
            } catch {
                if error.code == .outOfSpace { return false }
                if error.code == .cancelled { throw error }
                try await clock.sleep(for: .milliseconds(50))
            }
        }
    }

    /// One transaction each: a newer registration under one key must not keep the others.
    private func remove() async throws {
        for write in planner.withLock({ $0.removals() }) { _ = try await store.commit([write]) }
    }

    /// - Returns: nil when the limit came first or `body` failed.
    @discardableResult
    private func limited<Value: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async -> Value? {
        await withTaskGroup(of: Value?.self) { group in
            group.addTask { try? await body() }
            group.addTask { [clock] in
                try? await clock.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
