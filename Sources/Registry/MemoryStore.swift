// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Synchronization

/// The registry of one process, in its memory: no etcd, the same promises.
///
/// A watch is a place in the history, not a queue: a consumer that falls more than `historyLimit` revisions behind is
/// told `.reset`, and costs no memory until then.
///
/// ## Concurrency
/// All state is behind one lock, never held over an await. `run()` ends leases that nobody keeps alive.
package final class MemoryStore: RegistryStore {
    private struct State {
        var history: MemoryHistory
        /// Wakes the watches, by number of watch.
        var watches: [Int: AsyncStream<Void>.Continuation] = [:]
        var owners: [RegistryLease: MemoryOwner] = [:]
        var nextWatch = 0
        var hasStopped = false
    }

    /// How often leases are looked at, etcd's own interval (lessor.go).
    private static let expiryInterval = Duration.milliseconds(500)

    private let state: Mutex<State>
    private let clock: any Clock<Duration>
    private let elapsed: @Sendable () -> Duration

    /// - Parameters:
    ///   - clock: what leases end by.
    ///   - historyLimit: revisions that a watch may lie behind before it is told `.reset`.
    package init(clock: any Clock<Duration> = ContinuousClock(), historyLimit: Int = 10_000) {
        self.clock = clock
        elapsed = clock.stopwatch()
        state = Mutex(State(history: MemoryHistory(limit: historyLimit)))
    }

    /// Ends leases until cancelled; then ends every watch and every owner's lifetimes.
    package func run() async throws {
        defer { stop() }
        while true {
            try await clock.sleep(for: Self.expiryInterval)
            change { $0.history.expire(now: elapsed()) }
        }
    }

    private func stop() {
        state.withLock { state in
            state.hasStopped = true
            for wake in state.watches.values { wake.finish() }
            for owner in state.owners.values { owner.finish() }
        }
    }

    // MARK: RegistryStore

    package func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing {
        try checkCancellation()
        return state.withLock { $0.history.list(range, keysOnly: keysOnly) }
    }

    package func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64? {
        try checkCancellation()
        // Typed errors do not pass through withLock's generic one while the closure also returns: hence Result.
        let result = state.withLock { state -> Result<Int64?, RegistryError> in
            let before = state.history.revision
            let result = Result { () throws(RegistryError) in try state.history.commit(writes) }
            if state.history.revision > before { Self.wake(state) }
            return result
        }
        return try result.get()
    }

    package func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration? {
        try checkCancellation()
        return state.withLock { $0.history.remaining(of: lease, now: elapsed()) }
    }

    package func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64, _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result {
        let (signals, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state in
            state.nextWatch += 1
            state.watches[state.nextWatch] = wake
            if state.hasStopped { wake.finish() }
            return state.nextWatch
        }
        defer { _ = state.withLock { $0.watches.removeValue(forKey: number) } }
        let cursor = Cursor(revision)
        return try await body(
            RegistryEvents(
                AsyncThrowingStream { [self] in
                    while !Task.isCancelled {
                        if let event = next(in: range, cursor) { return event }
                        guard await signals.first(where: { _ in true }) != nil else { return nil }
                    }
                    return nil
                }
            )
        )
    }

    package func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        precondition(timeToLive > .zero, "a lease lives for some time")
        let owner = MemoryOwner(timeToLive: timeToLive)
        state.withLock { state in
            Self.grant(to: owner, &state)
            if state.hasStopped { owner.finish() }
        }
        defer {
            owner.finish()
            change { state in
                guard let lease = owner.lease else { return false }
                state.owners[lease] = nil
                switch end {
                case .revoke: return state.history.revoke(lease)
                case .expire:
                    state.history.leave(lease, now: elapsed())
                    return false
                }
            }
        }
        return try await body(owner)
    }

    package var health: RegistryHealth {
        let revision = state.withLock { $0.history.revision }
        return RegistryHealth(lastContact: .now, revision: revision)
    }

    // MARK: What etcdctl does to an etcd

    /// Grants a lease that nobody keeps alive: it ends after `timeToLive`, as after a registrator's death.
    package func grant(timeToLive: Duration) -> RegistryLease {
        state.withLock { $0.history.grant(timeToLive: timeToLive, deadline: elapsed() + timeToLive) }
    }

    /// Ends a lease and its keys. An owner that has lost it so is granted another at once.
    /// - Returns: whether the lease was known.
    @discardableResult
    package func revoke(_ lease: RegistryLease) -> Bool {
        change { state in
            guard state.history.revoke(lease) else { return false }
            if let owner = state.owners.removeValue(forKey: lease) {
                owner.lost(lease)
                Self.grant(to: owner, &state)
            }
            return true
        }
    }

    /// Forgets all history up to now: watches from before are told `.reset`.
    package func compact() {
        change { state in
            state.history.compact()
            return true
        }
    }

    // MARK: Within

    private static func grant(to owner: MemoryOwner, _ state: inout State) {
        let lease = state.history.grant(timeToLive: owner.timeToLive, deadline: nil)
        state.owners[lease] = owner
        owner.granted(lease)
    }

    private func next(in range: RegistryRange, _ cursor: Cursor) -> RegistryEvent? {
        state.withLock { state in
            cursor.next.withLock { next in
                let step = state.history.event(in: range, from: next)
                next = step.next
                return step.event
            }
        }
    }

    @discardableResult
    private func change(_ body: (inout State) -> Bool) -> Bool {
        state.withLock { state in
            let hasChanged = body(&state)
            if hasChanged { Self.wake(state) }
            return hasChanged
        }
    }

    private static func wake(_ state: borrowing State) {
        for wake in state.watches.values { wake.yield() }
    }

    private func checkCancellation() throws(RegistryError) {
        if Task.isCancelled { throw RegistryError(.cancelled, "the caller was cancelled") }
    }
}

/// The next revision that a watch has to be shown.
private final class Cursor: Sendable {
    let next: Mutex<Int64>
    init(_ next: Int64) { self.next = Mutex(next) }
}

/// The lease of one `withOwner`. Its methods are called under the store's lock, which orders the lifetimes.
private final class MemoryOwner: RegistryOwner {
    let timeToLive: Duration
    let lifetimes: AsyncStream<OwnerEvent>
    private let events: AsyncStream<OwnerEvent>.Continuation
    private let current = Mutex<RegistryLease?>(nil)

    init(timeToLive: Duration) {
        self.timeToLive = timeToLive
        (lifetimes, events) = AsyncStream.makeStream()
    }

    var lease: RegistryLease? { current.withLock { $0 } }

    func granted(_ lease: RegistryLease) {
        current.withLock { $0 = lease }
        events.yield(.granted(lease, timeToLive: timeToLive))
    }

    func lost(_ lease: RegistryLease) {
        current.withLock { $0 = nil }
        events.yield(.lost(lease))
    }

    func finish() { events.finish() }
}
