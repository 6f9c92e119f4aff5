// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization

/// A flag that many raise and one waits for: raised before the wait it is not lost, raised twice it is one.
///
/// An `AsyncStream` would do, but it ends for good when a wait for it is cancelled, and our waits race with clocks.
package final class Signal: Sendable {
    private struct State {
        var isRaised = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())

    package init() {}

    package func raise() {
        let waiter = state.withLock { state in
            state.isRaised = state.waiter == nil
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when the flag is raised, and lowers it; also when the task is cancelled. One task at a time.
    package func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    precondition(state.waiter == nil, "one task waits at a time")
                    if state.isRaised || Task.isCancelled {
                        state.isRaised = false
                        return true
                    }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    /// Returns when the flag is raised, as `wait()` does, or when the time has come.
    ///
    /// A flag that is raised just as the time comes may be lowered unseen: look at what it stands for after every return.
    /// - Parameters:
    ///   - deadline: by `elapsed`; nil for never.
    ///   - elapsed: a stopwatch of `clock`.
    package func wait(
        until deadline: Duration?, by clock: any Clock<Duration>, _ elapsed: @escaping @Sendable () -> Duration
    ) async {
        guard let deadline else { return await wait() }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.wait() }
            group.addTask { try? await clock.sleep(for: max(.zero, deadline - elapsed())) }
            await group.next()
            group.cancelAll()
        }
    }
}
