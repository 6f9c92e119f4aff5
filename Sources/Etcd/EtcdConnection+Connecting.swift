// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

extension EtcdConnection {
    /// - Parameter secured: nil for plain text.
    static func connect(
        to endpoint: EtcdEndpoint, _ making: Making, _ secured: TLSFiles.Secured?,
        onGoAway: @escaping @Sendable (UInt32) -> Void, onTLSFailure: @escaping @Sendable (String) -> Void
    ) async throws -> Transport {
        let configuration = making.configuration
        let timeout = TimeAmount.nanoseconds(configuration.connectTimeout.nanoseconds)
        do {
            return try await .wrapping(config: transportConfig(endpoint, making)) { configure in
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connectTimeout(timeout)
                    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .connect(host: endpoint.host, port: endpoint.port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let pipeline = channel.pipeline.syncOperations
                            if let secured {
                                try pipeline.addHandler(secured.makeHandler(host: endpoint.host))
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
            // a member that hangs was then never noticed. etcd counts PINGs without any stream as strikes: a client that
            // only makes calls now and then is told to calm down, and pings half as often from then on.
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
