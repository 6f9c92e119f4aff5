// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// What a watch has told and its consumer has not taken yet: bounded, so that a consumer which sleeps costs a listing when
/// it wakes, and not memory until then.
///
/// ## Concurrency
/// State under one mutex; the one consumer's continuation is resumed outside it. `onStarved` is called outside it, too.
final class WatchQueue: Sendable {
    private typealias Waiter = CheckedContinuation<Result<WatchEvent?, any Error>, Never>

    private struct State {
        var events: [WatchEvent] = []
        /// Events before it are taken.
        var head = 0
        /// Changes within `events`.
        var count = 0
        /// Too much came; nothing is good before a reset.
        var isOverflown = false
        /// The consumer has asked since.
        var isStarved = false
        var end: Result<WatchEvent?, any Error>?
        var waiter: Waiter?

        mutating func drop() {
            events = []
            head = 0
            count = 0
        }

        mutating func take() -> Result<WatchEvent?, any Error>? {
            guard head < events.count else { return end }
            let event = events[head]
            head += 1
            count -= event.count
            if head == events.count { drop() }
            return .success(event)
        }
    }

    private let limit: Int
    private let onStarved: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameters:
    ///   - limit: changes that wait at most; a single event may be larger.
    ///   - onStarved: the consumer is back after an overflow: what stands is to be listed, and pushed as a reset.
    init(limit: Int, onStarved: @escaping @Sendable () -> Void) {
        self.limit = limit
        self.onStarved = onStarved
    }

    /// Whether the consumer waits for a reset.
    var isStarved: Bool { state.withLock { $0.isStarved } }

    /// Hands an event over. - Returns: false when it was too much: then everything that waited is gone as well, and
    /// nothing but a reset is taken any more.
    func push(_ event: WatchEvent) -> Bool {
        let (waiter, isTaken): (Waiter?, Bool) = state.withLock { state in
            guard state.end == nil else { return (nil, true) }
            if case .reset = event {
                // It says all that those before it would have said.
                state.drop()
                state.isOverflown = false
                state.isStarved = false
            } else if state.isOverflown {
                return (nil, true)
            } else if state.count > 0, state.count + event.count > limit {
                state.drop()
                state.isOverflown = true
                return (nil, false)
            }
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, true)
            }
            state.events.append(event)
            state.count += event.count
            return (nil, true)
        }
        waiter?.resume(returning: .success(event))
        return isTaken
    }

    /// What waits is still taken; then the sequence ends, by throwing when there is an error.
    func finish(throwing error: (any Error)? = nil) {
        let end: Result<WatchEvent?, any Error> = error.map { .failure($0) } ?? .success(nil)
        let waiter = state.withLock { state in
            state.end = state.end ?? end
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: end)
    }

    /// - Returns: nil at the end, and when the task is cancelled.
    func next() async throws -> WatchEvent? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Waiter) in
                let (ready, isStarved): (Result<WatchEvent?, any Error>?, Bool) = state.withLock { state in
                    if let ready = state.take() { return (ready, false) }
                    // The handler below may have run before us: it finds nothing, so we look.
                    if Task.isCancelled { return (.success(nil), false) }
                    precondition(state.waiter == nil, "a watch has one consumer")
                    state.waiter = continuation
                    state.isStarved = state.isOverflown
                    return (nil, state.isStarved)
                }
                if let ready { continuation.resume(returning: ready) }
                if isStarved { onStarved() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume(returning: .success(nil))
        }
        return try result.get()
    }
}

extension WatchEvent {
    /// Changes, or keys of a reset; never 0, so that empty resets are counted, too.
    fileprivate var count: Int {
        switch self {
        case .reset(let listing): max(1, listing.keyValues.count)
        case .changes(_, let changes): changes.count
        }
    }
}
