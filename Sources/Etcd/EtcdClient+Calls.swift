// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import GRPCCore
internal import Synchronization

extension EtcdClient {
    /// Tokens that one call may see refused: the one that has ended, and one more that ends at that very moment.
    private static let mostRenewals = 2

    /// Makes one unary call within the request timeout, on the connection of the moment. Each attempt has its own, shorter.
    ///
    /// - Parameters:
    ///   - isRepeatable: whether the call may be sent again when it got no answer. Reads are; a write may
    ///     have happened, so it is only repeated when it was never carried out: when its token was refused.
    ///   - consistency: `.serializable` is also asked of a member without a leader.
    func call<Response: Sendable>(
        _ what: String, key: String? = nil, isRepeatable: Bool, within limit: Duration? = nil,
        consistency: Consistency = .linearizable,
        _ body: @Sendable (EtcdConnection, CallOptions) async throws -> Response
    ) async throws(EtcdError) -> Response {
        let clock = ContinuousClock()
        let deadline = clock.now + (limit ?? configuration.requestTimeout)
        let slot = consistency == .serializable ? readable : slot
        var attempt = 0
        var renewals = 0
        while true {
            let connection = try await slot.connection(within: clock.now.duration(to: deadline), for: what)
            let begun = clock.now
            let token = connection.tokens.current
            do {
                let left = clock.now.duration(to: deadline)
                return try await body(connection, callOptions(timeout: min(left, configuration.attemptTimeout)))
            } catch {
                let failure = EtcdError.ofCall(error, what, key: key, to: connection.endpoint)
                heed(failure, of: connection, token)
                leaveIfSilent(connection, failure, since: begun)
                guard clock.now < deadline else { throw failure }
                if failure.code == .unauthenticated, renewals < Self.mostRenewals {
                    renewals += 1
                    // A certificate has no token to renew; what etcd has changed meanwhile it knows at the next try.
                    guard configuration.credentials != nil || failure.saysOldAuthRevision else { throw failure }
                    continue
                }
                guard isRepeatable, failure.isTransient else { throw failure }
                attempt += 1
                let left = clock.now.duration(to: deadline)
                do { try await pause(afterAttempt: attempt, within: left) } catch { throw failure }
                guard clock.now < deadline else { throw failure }
            }
        }
    }

    /// Does what a failed call or stream says of its connection.
    /// - Parameter token: as it was when the call was made, or the stream opened.
    func heed(_ failure: EtcdError, of connection: EtcdConnection, _ token: AuthToken?) {
        if failure.saysNoLeader || failure.saysLearner {
            if hasAlternatives { leave(connection, after: failure) } else { connection.doubtLeader() }
        }
        if failure.code == .unauthenticated { connection.tokenWasRefused(token) }
    }

    /// Nothing at all came while we waited: it may hang, which its PING would tell later. Elsewhere we lose nothing.
    private func leaveIfSilent(
        _ connection: EtcdConnection, _ failure: EtcdError, since begun: ContinuousClock.Instant
    ) {
        guard failure.code == .timedOut, begun.duration(to: .now) >= configuration.attemptTimeout else { return }
        if hasAlternatives, knowledge.lastContact.map({ $0 < begun }) ?? true { leave(connection, after: failure) }
    }

    /// Whether there is another member to go to.
    var hasAlternatives: Bool { book.withLock { $0.count } > 1 }
}
