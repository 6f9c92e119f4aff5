// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// A value that comes and goes, and those who wait for it: the live connection, the token of a connection.
///
/// ## Concurrency
/// State under one mutex; continuations are resumed outside it.
final class Slot<Value: Sendable>: Sendable {
    private enum Answer {
        case value(Value)
        case refused(EtcdError)
        case cancelled
    }

    private enum Content {
        /// The reason is for the message of those who wait in vain.
        case empty(EtcdError?)
        case value(Value)
        case refused(EtcdError)
    }

    private struct State {
        var content = Content.empty(nil)
        var waiters: [Int: CheckedContinuation<Answer, Never>] = [:]
        var nextWaiter = 0
    }

    private let noun: String
    private let state = Mutex(State())

    /// - Parameter noun: what is waited for, in the words of an error.
    init(_ noun: String) { self.noun = noun }

    func put(_ value: Value) { answer(.value(value), content: .value(value)) }

    /// There is none for now; who asks waits.
    /// - Parameters:
    ///   - failure: the reason; nil keeps the last one.
    ///   - isMeant: a value for which this is false stays.
    func clear(after failure: EtcdError?, where isMeant: (Value) -> Bool = { _ in true }) {
        state.withLock { state in
            switch state.content {
            case .empty(let last): state.content = .empty(failure ?? last)
            case .value(let value) where !isMeant(value): break
            case .value, .refused: state.content = .empty(failure)
            }
        }
    }

    /// There will be none until somebody mends something: who asks is told at once.
    func refuse(with failure: EtcdError) { answer(.refused(failure), content: .refused(failure)) }

    private func answer(_ answer: Answer, content: Content) {
        let waiters = state.withLock { state in
            state.content = content
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume(returning: answer) }
    }

    var current: Value? {
        state.withLock { state in
            if case .value(let value) = state.content { value } else { nil }
        }
    }

    /// The value, as soon as there is one.
    /// - Throws: what `refuse` said; `.unavailable` with the last reason when `limit` has passed; `.cancelled` with the
    ///   task.
    func value(within limit: Duration, for what: String) async throws(EtcdError) -> Value {
        if let current { return current }
        switch await withDeadline(limit, { await self.wait() }) {
        case .value(let value): return value
        case .refused(let failure): throw failure
        case .cancelled, nil: break
        }
        if Task.isCancelled { throw EtcdError(.cancelled, "\(what): cancelled") }
        let reason = state.withLock { state in
            if case .empty(let failure?) = state.content { failure.message } else { "no member has answered yet" }
        }
        let waited = "\(limit.nanoseconds / 1_000_000) ms"
        throw EtcdError(.unavailable, "\(what): no \(noun) within \(waited): \(reason)")
    }

    private func wait() async -> Answer {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let ready: Answer? = state.withLock { state in
                    switch state.content {
                    case .value(let value): return .value(value)
                    case .refused(let failure): return .refused(failure)
                    case .empty: break
                    }
                    // The handler below may have run before us: it finds nothing, so we look.
                    if Task.isCancelled { return .cancelled }
                    state.waiters[id] = continuation
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: .cancelled)
        }
    }
}

extension Slot where Value == EtcdConnection {
    /// The connection, once it may be used: with a token where one is needed.
    func connection(within limit: Duration, for what: String) async throws(EtcdError) -> EtcdConnection {
        let deadline = ContinuousClock.now + limit
        while true {
            let connection = try await value(within: ContinuousClock.now.duration(to: deadline), for: what)
            do {
                _ = try await connection.tokens.value(within: ContinuousClock.now.duration(to: deadline), for: what)
                return connection
            } catch {
                // It has ended while we waited: there will be another.
                guard error.code == .unavailable, ContinuousClock.now < deadline else { throw error }
            }
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
