// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials
internal import GRPCCore
internal import Logging

/// What a user shows with each call. etcd's simple tokens end after five minutes without use, and with the member.
struct AuthToken: Sendable {
    /// Nil: the server wants none.
    let text: String?
    /// Grows with each token of a connection, so that a late refusal of an old one does not cost the new one.
    let generation: Int
}

/// Authenticates on one connection, again whenever a token is refused: one at a time, however many calls were refused,
/// since each costs the server a bcrypt.
struct TokenKeeper: Sendable {
    let credentials: EtcdCredentials
    let connection: EtcdConnection
    let configuration: EtcdConfiguration
    let options: CallOptions
    let logger: Logger

    /// Between attempts that the server has refused: an operator has to mend it. Doubled up to half a minute.
    private static let refusedBackoff = {
        var backoff = Backoff()
        backoff.initial = .seconds(1)
        backoff.maximum = .seconds(30)
        return backoff
    }()
    /// A token that was refused sooner than this says that something else is wrong; the next one is not hurried.
    private static let shortestLife = Duration.seconds(1)

    /// - Parameter refusals: yields when a token was refused. - Returns: when cancelled.
    func run(_ refusals: AsyncStream<Void>) async {
        var refusals = refusals.makeAsyncIterator()
        var generation = 0
        var failures = 0
        var lastComplaint: String?
        while !Task.isCancelled {
            do {
                let text = try await authenticate()
                generation += 1
                failures = 0
                if lastComplaint != nil { logger.notice("authenticated", metadata: ["user": "\(credentials.user)"]) }
                lastComplaint = nil
                connection.tokens.put(AuthToken(text: text, generation: generation))
                let born = ContinuousClock.now
                guard await refusals.next() != nil else { return }
                if born.duration(to: .now) < Self.shortestLife { try await Task.sleep(for: Self.shortestLife) }
            } catch let error as EtcdError {
                failures += 1
                let isRefused = !error.isTransient
                if isRefused { connection.tokens.refuse(with: error) } else { connection.tokens.clear(after: error) }
                if isRefused, error.message != lastComplaint {
                    lastComplaint = error.message
                    logger.error("authentication failed", metadata: ["error": "\(error)"])
                }
                // It will not take anybody before it is a member.
                if error.saysLearner { return connection.abandon() }
                let backoff = isRefused ? Self.refusedBackoff : configuration.backoff
                // Half of it at least: with full jitter a refusal could be repeated at once.
                let random = Double.random(in: isRefused ? 0.5..<1 : 0..<1)
                try? await Task.sleep(for: backoff.delay(afterAttempt: failures, random: random))
            } catch {
                return
            }
        }
    }

    /// - Returns: nil when the server has authentication switched off.
    private func authenticate() async throws -> String? {
        var request = Etcdserverpb_AuthenticateRequest()
        request.name = credentials.user
        request.password = try password()
        do {
            return try await connection.auth.authenticate(request, options: options).token
        } catch {
            let failure = EtcdError.ofCall(
                error, "authentication of user \(credentials.user)", to: connection.endpoint)
            if failure.saysAuthenticationIsOff { return nil }
            // "invalid user ID or password" comes as an invalid argument.
            if failure.code == .invalidArgument { throw EtcdError(.unauthenticated, failure.message, cause: error) }
            if failure.code == .cancelled { throw CancellationError() }
            throw failure
        }
    }

    private func password() throws -> String {
        switch credentials.password {
        case .literal(let password): return password
        case .file(let path):
            do {
                var text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
                while text.last?.isNewline == true { text.removeLast() }
                return text
            } catch {
                throw EtcdError(.unauthenticated, "password file \(path) cannot be read", cause: error)
            }
        }
    }
}

/// Shows the token of the moment with each call.
struct TokenInterceptor: ClientInterceptor {
    let tokens: Slot<AuthToken>

    @concurrent func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: @concurrent (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        guard let text = tokens.current?.text else { return try await next(request, context) }
        var request = request
        // client/v3's name for it (rpctypes.TokenFieldNameGRPC).
        request.metadata.replaceOrAddString(text, forKey: "token")
        return try await next(request, context)
    }
}
