// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization

/// A clock that stands still until told: sleepers wake when `advance(by:)` reaches their deadline, earliest first.
package final class ManualClock: Clock {
    package struct Instant: InstantProtocol {
        /// Since the clock was made.
        package let offset: Duration

        package func advanced(by duration: Duration) -> Self { Self(offset: offset + duration) }
        package func duration(to other: Self) -> Duration { other.offset - offset }
        package static func < (left: Self, right: Self) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Waiter {
        let condition: @Sendable ([Duration]) -> Bool
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Sleeps cancelled before they began.
        var cancelled: Set<Int> = []
        var waiters: [Int: Waiter] = [:]

        /// What each sleeper still has to sleep, shortest first.
        var remaining: [Duration] { sleepers.values.map { now.duration(to: $0.deadline) }.sorted() }

        mutating func takeID() -> Int {
            nextID += 1
            return nextID
        }

        mutating func takeSatisfiedWaiters() -> [CheckedContinuation<Void, Never>] {
            let satisfied = waiters.filter { $0.value.condition(remaining) }
            for id in satisfied.keys { waiters[id] = nil }
            return satisfied.values.map(\.continuation)
        }
    }

    private let state = Mutex(State())

    package init() {}

    package var now: Instant { state.withLock { $0.now } }
    package var minimumResolution: Duration { .nanoseconds(1) }

    package func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        try Task.checkCancellation()
        let id = state.withLock { $0.takeID() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>]? in
                    if state.cancelled.remove(id) != nil || deadline <= state.now { return nil }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return state.takeSatisfiedWaiters()
                }
                guard let waiters else {
                    continuation.resume()
                    return
                }
                for waiter in waiters { waiter.resume() }
            }
            try Task.checkCancellation()
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let sleeper = state.sleepers.removeValue(forKey: id) else {
                    state.cancelled.insert(id)
                    return nil
                }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Moves time on and wakes everybody whose deadline has come.
    package func advance(by duration: Duration) {
        let due = state.withLock { state -> [Sleeper] in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.values.sorted { $0.deadline < $1.deadline }
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Waits until what is left to sleep (shortest first) satisfies `condition`: whoever is to be woken is asleep then.
    /// A test that waits for a sleep that never comes ends by its time limit.
    package func untilSleeping(_ condition: @escaping @Sendable ([Duration]) -> Bool) async {
        let id = state.withLock { $0.takeID() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSatisfied = state.withLock { state in
                    if condition(state.remaining) || Task.isCancelled { return true }
                    state.waiters[id] = Waiter(condition: condition, continuation: continuation)
                    return false
                }
                if isSatisfied { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.continuation.resume()
        }
    }

    /// Waits until at least `count` tasks sleep on this clock.
    package func untilSleeping(_ count: Int = 1) async { await untilSleeping { $0.count >= count } }
}
