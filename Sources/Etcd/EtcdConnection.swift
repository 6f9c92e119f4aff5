// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// One HTTP/2 connection to one member, from connect to close. It never reconnects: `EtcdClient` makes the next one.
///
/// Made by our own bootstrap, because that is the only way to put `PingAnswerer` between TLS and swift-nio-http2
/// (ARCHITECTURE.md, "What etcd made us do").
///
/// ## Concurrency
/// Immutable but for the gRPC client's own state; calls may come from any task.
struct EtcdConnection: Sendable {
    typealias Transport = HTTP2ClientTransport.WrappedChannel

    let endpoint: EtcdEndpoint
    private let client: GRPCClient<Transport>
    /// Finishing it ends the connection: a member without a leader is left although its transport is fine.
    private let abandoned: AsyncStream<Void>.Continuation

    var kv: Etcdserverpb_KV.Client<Transport> { .init(wrapping: client) }
    var watch: Etcdserverpb_Watch.Client<Transport> { .init(wrapping: client) }
    var lease: Etcdserverpb_Lease.Client<Transport> { .init(wrapping: client) }
    var cluster: Etcdserverpb_Cluster.Client<Transport> { .init(wrapping: client) }
    var maintenance: Etcdserverpb_Maintenance.Client<Transport> { .init(wrapping: client) }
    var auth: Etcdserverpb_Auth.Client<Transport> { .init(wrapping: client) }

    /// Which of the TLS files it was made of; nil: it is plain.
    let filesGeneration: Int?
    /// What this connection's calls show; one without text where no user is configured.
    let tokens: Slot<AuthToken>
    private let doubts: AsyncStream<Void>.Continuation
    private let refusals: AsyncStream<Void>.Continuation

    /// The server did not take the token: what comes waits for the next one.
    /// - Parameter token: as it was when the call was made, or the stream opened; nil: none was there, so that none was
    ///   refused.
    func tokenWasRefused(_ token: AuthToken?) {
        guard let token, let current = tokens.current, token.generation == current.generation else { return }
        // Without a user there is no other token to be had.
        guard current.generation > 0 else { return }
        tokens.clear(after: nil)
        refusals.yield()
    }

    /// Ends the connection; calls under way fail as unavailable.
    func abandon() { abandoned.finish() }

    /// The member does not lead anywhere at the moment, and there is no other: its leader is to be asked for again.
    func doubtLeader() { doubts.yield() }

    /// What a connection is made of, beside its endpoint.
    struct Making: Sendable {
        let configuration: EtcdConfiguration
        /// Nil: the system's authorities and no certificate.
        let tls: TLSFiles
        let keepaliveTime: Duration
        let logger: Logger
        /// The server asked for fewer PINGs (ENHANCE_YOUR_CALM).
        let onCalm: @Sendable () -> Void
        /// No call is to begin any more: the server has said GOAWAY, or the connection is gone.
        let onLeaving: @Sendable () -> Void
    }

    /// What takes a connection into use.
    struct Owner: Sendable {
        /// Asks the first question. Throws when the member is not to be used.
        let greet: @Sendable (EtcdConnection) async throws -> Void
        /// Runs from then on; called with what `doubtLeader` tells.
        let follow: @Sendable (EtcdConnection, AsyncStream<Void>) async throws -> Void
    }

    private enum Step { case greeted, goingAway, over }

    /// Connects, has its owner greet the member, and returns when the connection is gone for whatever reason.
    /// - Throws: `EtcdError` when the connection could not be made.
    static func run(to endpoint: EtcdEndpoint, _ making: Making, _ owner: Owner) async throws {
        let (abandonment, abandoned) = AsyncStream<Void>.makeStream()
        let failureOfTLS = Mutex<String?>(nil)
        // Files that cannot be used end the attempt before it begins.
        let secured = endpoint.usesTLS ? try making.tls.secured() : nil
        let transport = try await connect(to: endpoint, making, secured) { code in
            if code == enhanceYourCalm { making.onCalm() }
            abandoned.yield()
        } onTLSFailure: { reason in
            failureOfTLS.withLock { $0 = reason }
        }
        let tokens = Slot<AuthToken>("token")
        let (refused, refusals) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (doubted, doubts) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let client = GRPCClient(transport: transport, interceptors: [TokenInterceptor(tokens: tokens)])
        let connection = EtcdConnection(
            endpoint: endpoint, client: client, abandoned: abandoned, filesGeneration: secured?.generation,
            tokens: tokens, doubts: doubts, refusals: refusals)
        var end: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Step.self) { group in
                group.addTask {
                    try await client.runConnections()
                    return .over
                }
                group.addTask {
                    await connection.keepToken(making, refused)
                    return .over
                }
                group.addTask { await step(of: abandonment) }
                group.addTask {
                    try await owner.greet(connection)
                    return .greeted
                }
                defer { group.cancelAll() }
                var isGreeted = false
                while let step = try await group.next(), step != .over {
                    if step == .greeted {
                        isGreeted = true
                        group.addTask {
                            try await owner.follow(connection, doubted)
                            return .over
                        }
                    } else if isGreeted {
                        making.onLeaving()
                        group.addTask { await Self.step(of: abandonment) }
                        group.addTask {
                            try await Task.sleep(for: making.configuration.goAwayGrace)
                            return .over
                        }
                    } else {
                        // Nobody has asked anything yet.
                        break
                    }
                }
            }
        } catch {
            end = error
        }
        // In this order: who waits for its token asks for the next connection, and must not be given this one again.
        making.onLeaving()
        tokens.refuse(with: EtcdError(.unavailable, "the connection to \(endpoint) has ended", cause: end))
        if let reason = failureOfTLS.withLock({ $0 }) {
            throw EtcdError(.unavailable, "connect to \(endpoint): \(reason)", cause: end)
        }
        if let end { throw end }
    }

    /// A GOAWAY yields: what is under way may still be answered. `abandon` finishes.
    private static func step(of abandonment: AsyncStream<Void>) async -> Step {
        for await _ in abandonment { return .goingAway }
        return .over
    }

    /// Returns when cancelled.
    private func keepToken(_ making: Making, _ refused: AsyncStream<Void>) async {
        guard let credentials = making.configuration.credentials else {
            tokens.put(AuthToken(text: nil, generation: 0))
            // Nothing ever refuses what is not there.
            for await _ in refused {}
            return
        }
        let options = EtcdClient.callOptions(making.configuration, timeout: making.configuration.connectTimeout)
        let keeper = TokenKeeper(
            credentials: credentials, connection: self, configuration: making.configuration, options: options,
            logger: making.logger)
        await keeper.run(refused)
    }

    /// HTTP/2's error code (RFC 9113, section 7); Go's server says "too_many_pings" with it.
    private static let enhanceYourCalm: UInt32 = 0xb
}

extension Duration {
    /// Whole nanoseconds, for NIO's `TimeAmount`.
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
