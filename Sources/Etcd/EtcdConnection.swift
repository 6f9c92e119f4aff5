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

    /// What this connection's calls show; one without text where no user is configured.
    let tokens: Slot<AuthToken>
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

    /// What a connection is made of, beside its endpoint.
    struct Making: Sendable {
        let configuration: EtcdConfiguration
        /// Nil: the system's authorities and no certificate.
        let tls: TLSFiles
        let keepaliveTime: Duration
        let logger: Logger
        /// The server asked for fewer PINGs (ENHANCE_YOUR_CALM).
        let onCalm: @Sendable () -> Void
    }

    /// Connects, tells `onReady`, and returns when the connection is gone for whatever reason.
    /// - Throws: `EtcdError` when the connection could not be made.
    static func run(
        to endpoint: EtcdEndpoint, _ making: Making,
        onReady: @escaping @Sendable (EtcdConnection) async throws -> Void
    ) async throws {
        let (abandonment, abandoned) = AsyncStream<Void>.makeStream()
        let failureOfTLS = Mutex<String?>(nil)
        let transport = try await connect(to: endpoint, making) { code in
            if code == enhanceYourCalm { making.onCalm() }
            abandoned.yield()
        } onTLSFailure: { reason in
            failureOfTLS.withLock { $0 = reason }
        }
        let tokens = Slot<AuthToken>("token")
        let (refused, refusals) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let client = GRPCClient(transport: transport, interceptors: [TokenInterceptor(tokens: tokens)])
        let connection = EtcdConnection(
            endpoint: endpoint, client: client, abandoned: abandoned, tokens: tokens, refusals: refusals)
        var end: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.runConnections() }
                group.addTask { try await connection.serve(onReady, until: abandonment) }
                group.addTask { await connection.keepToken(making, refused) }
                // The first to end decides: the transport closed, the handshake failed or somebody abandoned it.
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            end = error
        }
        if let reason = failureOfTLS.withLock({ $0 }) {
            throw EtcdError(.unavailable, "connect to \(endpoint): \(reason)", cause: end)
        }
        if let end { throw end }
    }

    /// Returns when the connection is to be left.
    private func serve(
        _ onReady: @Sendable (EtcdConnection) async throws -> Void, until abandonment: AsyncStream<Void>
    ) async throws {
        try await onReady(self)
        // A GOAWAY yields: what is under way may still be answered. `abandon` finishes.
        for await _ in abandonment {
            try await Task.sleep(for: Self.goAwayGrace)
            return
        }
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
    /// What a server that says GOAWAY gets to answer what was asked before it is left.
    private static let goAwayGrace = Duration.milliseconds(500)

    private static func connect(
        to endpoint: EtcdEndpoint, _ making: Making, onGoAway: @escaping @Sendable (UInt32) -> Void,
        onTLSFailure: @escaping @Sendable (String) -> Void
    ) async throws -> Transport {
        let configuration = making.configuration
        let timeout = TimeAmount.nanoseconds(configuration.connectTimeout.nanoseconds)
        // Files that cannot be used end the attempt before it begins.
        if endpoint.usesTLS { _ = try making.tls.context() }
        do {
            return try await .wrapping(config: transportConfig(endpoint, making)) { configure in
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connectTimeout(timeout)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: endpoint.host, port: endpoint.port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let pipeline = channel.pipeline.syncOperations
                            if endpoint.usesTLS {
                                try pipeline.addHandler(making.tls.makeHandler(host: endpoint.host))
                                let showsCertificate = configuration.tls?.certificateFile != nil
                                try pipeline.addHandler(
                                    TLSWitness(showsCertificate: showsCertificate, onFailure: onTLSFailure))
                            }
                            if configuration.answersPings { try pipeline.addHandler(PingAnswerer(onGoAway: onGoAway)) }
                        }.flatMap { configure(channel) }
                    }
            }
        } catch {
            throw EtcdError(.unavailable, "connect to \(endpoint): \(describeConnectFailure(error))", cause: error)
        }
    }

    private static func transportConfig(
        _ endpoint: EtcdEndpoint, _ making: Making
    ) -> Transport.Config {
        .defaults { config in
            config.http2.authority = endpoint.authority
            // A watch may be silent for hours: idleness is no reason to close.
            config.connection.maxIdleTime = nil
            // Also without calls: told otherwise, grpc-swift-nio-transport 2.9.2 stops its timer when the last stream
            // ends and never starts it again (ClientConnectionHandler._streamClosed), here after the first question;
            // a member that hangs was then never noticed. A watch or a lease's stream is open nearly always, so
            // that etcd, which counts PINGs without any, has no cause to complain.
            config.connection.keepalive = .init(
                time: making.keepaliveTime, timeout: making.configuration.keepaliveTimeout, allowWithoutCalls: true)
        }
    }

    /// NIO's connect error lists every address that was tried, as a dump; an operator wants the reason.
    private static func describeConnectFailure(_ error: any Error) -> String {
        guard let error = error as? NIOConnectionError else { return "\(error)" }
        if let first = error.connectionErrors.first { return "\(first.error)" }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "name \(error.host) does not resolve" }
        return "no address for \(error.host)"
    }
}

extension Duration {
    /// Whole nanoseconds, for NIO's `TimeAmount`.
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
