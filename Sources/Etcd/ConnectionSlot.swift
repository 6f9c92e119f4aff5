// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// Where the one live connection stands, and who waits for it.
///
/// ## Concurrency
/// State under one mutex; continuations are resumed outside it.
final class ConnectionSlot: Sendable {
    private struct State {
        var connection: EtcdConnection?
        var waiters: [Int: CheckedContinuation<EtcdConnection?, Never>] = [:]
        var nextWaiter = 0
        var lastFailure: EtcdError?
    }
    private let state = Mutex(State())

    func put(_ connection: EtcdConnection) {
        let waiters = state.withLock { state in
            state.connection = connection
            state.lastFailure = nil
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: connection) }
    }

    /// - Parameter failure: kept for the message of calls that wait in vain.
    func clear(after failure: EtcdError?) {
        state.withLock { state in
            state.connection = nil
            if let failure { state.lastFailure = failure }
        }
    }

    var current: EtcdConnection? { state.withLock { $0.connection } }

    /// The connection, as soon as there is one.
    /// - Throws: `.unavailable` with the last reason when `limit` has passed, `.cancelled` with the task.
    func connection(within limit: Duration, for what: String) async throws(EtcdError) -> EtcdConnection {
        if let current { return current }
        let found = await withDeadline(limit) { await self.wait() }
        if let connection = found ?? nil { return connection }
        if Task.isCancelled { throw EtcdError(.cancelled, "\(what): cancelled") }
        let reason = state.withLock { $0.lastFailure?.message } ?? "no member has answered yet"
        let waited = "\(limit.nanoseconds / 1_000_000) ms"
        throw EtcdError(.unavailable, "\(what): no connection to etcd within \(waited): \(reason)")
    }

    /// - Returns: nil when the task was cancelled.
    private func wait() async -> EtcdConnection? {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready: EtcdConnection?? = state.withLock { state in
                    if let connection = state.connection { return .some(connection) }
                    // The handler below may have run before us: it finds nothing, so we look.
                    if Task.isCancelled { return .some(nil) }
                    state.waiters[id] = continuation
                    return .none
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
        }
    }
}

/// Runs `body` for at most `limit`. - Returns: nil when it took longer; `body` is then cancelled and awaited.
func withDeadline<Result: Sendable>(
    _ limit: Duration, _ body: @escaping @Sendable () async -> Result
) async -> Result? {
    await withTaskGroup(of: Result?.self) { group in
        group.addTask { await body() }
        group.addTask {
            try? await Task.sleep(for: limit)
            return nil
        }
        defer { group.cancelAll() }
        return await group.next() ?? nil
    }
}
