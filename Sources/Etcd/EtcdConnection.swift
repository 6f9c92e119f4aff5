// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

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

    /// Ends the connection; calls under way fail as unavailable.
    func abandon() { abandoned.finish() }

    /// Connects, tells `onReady`, and returns when the connection is gone for whatever reason.
    /// - Throws: `EtcdError` when the connection could not be made.
    static func run(
        to endpoint: EtcdEndpoint, configuration: EtcdConfiguration,
        onReady: @escaping @Sendable (EtcdConnection) async throws -> Void
    ) async throws {
        let transport = try await connect(to: endpoint, configuration: configuration)
        let client = GRPCClient(transport: transport)
        let (abandonment, abandoned) = AsyncStream<Void>.makeStream()
        let connection = EtcdConnection(endpoint: endpoint, client: client, abandoned: abandoned)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.runConnections() }
            group.addTask {
                try await onReady(connection)
                for await _ in abandonment {}
            }
            // The first to end decides: the transport closed, the handshake failed or somebody abandoned it.
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private static func connect(
        to endpoint: EtcdEndpoint, configuration: EtcdConfiguration
    ) async throws -> Transport {
        let tls = try endpoint.usesTLS ? TLSContext(configuration.tls ?? EtcdTLS(), host: endpoint.host) : nil
        let timeout = TimeAmount.nanoseconds(configuration.connectTimeout.nanoseconds)
        do {
            return try await .wrapping(config: transportConfig(endpoint, configuration)) { configure in
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connectTimeout(timeout)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: endpoint.host, port: endpoint.port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            if let tls { try channel.pipeline.syncOperations.addHandler(tls.makeHandler()) }
                            if configuration.answersPings {
                                try channel.pipeline.syncOperations.addHandler(PingAnswerer())
                            }
                        }.flatMap { configure(channel) }
                    }
            }
        } catch {
            throw EtcdError(.unavailable, "connect to \(endpoint): \(describeConnectFailure(error))", cause: error)
        }
    }

    private static func transportConfig(
        _ endpoint: EtcdEndpoint, _ configuration: EtcdConfiguration
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
                time: configuration.keepaliveTime, timeout: configuration.keepaliveTimeout, allowWithoutCalls: true)
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

/// A TLS context and the name that the peer's certificate must carry.
private struct TLSContext {
    private let context: NIOSSLContext
    private let hostname: String?

    init(_ tls: EtcdTLS, host: String) throws {
        do {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["h2"]
            if let file = tls.caFile { configuration.trustRoots = .file(file) }
            if let chain = tls.certificateFile, let key = tls.privateKeyFile {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(chain).map { .certificate($0) }
                configuration.privateKey = try .privateKey(NIOSSLPrivateKey(file: key, format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw EtcdError(
                .configuration,
                "TLS files cannot be used (CA \(tls.caFile ?? "system"), certificate \(tls.certificateFile ?? "none"),"
                    + " key \(tls.privateKeyFile ?? "none")): \(error)", cause: error)
        }
        // A literal is no server name (RFC 6066); NIOSSL then checks the certificate's IP entries against the peer.
        hostname = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
    }

    func makeHandler() throws -> NIOSSLClientHandler {
        try NIOSSLClientHandler(context: context, serverHostname: hostname)
    }
}

extension Duration {
    /// Whole nanoseconds, for NIO's `TimeAmount`.
    var nanoseconds: Int64 { components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000 }
}
