// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOCore
import Synchronization
import TestSupport

@testable import Etcd

/// A `FakeMember` that listens on the loopback address.
final class FakeServer: Sendable {
    let member: FakeMember
    private let transport: HTTP2ServerTransport.Posix
    private let server: GRPCServer<HTTP2ServerTransport.Posix>
    private let connections: Connections

    private let (stops, stopping) = AsyncStream<Void>.makeStream()

    private final class Connections: Sendable {
        let open = Mutex<[any Channel]>([])
    }

    init(_ member: FakeMember = FakeMember()) {
        self.member = member
        let connections = Connections()
        self.connections = connections
        transport = .http2NIOPosix(
            address: .ipv4(host: "127.0.0.1", port: 0), transportSecurity: .plaintext,
            config: .defaults { config in
                // The client's own ping, every 10 s and without calls, is no concern of these tests.
                config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(1)
                config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
                    connections.open.withLock { $0.append(channel) }
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
            })
        server = GRPCServer(
            transport: transport,
            services: [
                FakeKV(member: member), FakeWatchService(member: member), FakeLease(member: member),
                FakeCluster(member: member), FakeMaintenance(member: member), FakeAuth(member: member),
            ],
            interceptors: [FakeGate(member: member)])
    }

    var endpoint: EtcdEndpoint {
        get async throws {
            guard let address = try await transport.listeningAddress.ipv4,
                let endpoint = EtcdEndpoint("http://127.0.0.1:\(address.port)")
            else { throw Unexpected("the fake member listens nowhere") }
            return endpoint
        }
    }

    /// Serves until stopped. Cancelled while somebody connects, grpc-swift-nio-transport 2.9.2 loses what it has just
    /// accepted, and NIO ends the process for that: calls that a script keeps are cancelled once nobody can.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [server] in try? await server.serve() }
            group.addTask { [stops] in
                for await _ in stops {}
                try? await Task.sleep(for: .seconds(1))
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// The member dies: nobody listens any more, connections break.
    func stop() {
        server.beginGracefulShutdown()
        cut()
        stopping.finish()
    }

    /// Breaks every connection; new ones are taken.
    func cut() {
        let open = connections.open.withLock { open in
            defer { open = [] }
            return open
        }
        for channel in open { channel.close(promise: nil) }
    }

    /// GOAWAY: streams that are open may go on, new ones are not taken.
    func sayGoAway() { server.beginGracefulShutdown() }
}

/// Runs `count` members and a client of them, which tries them in their order, for as long as `body` runs.
/// - Parameters:
///   - configure: changes the client's settings; its endpoints are there already.
///   - prepare: changes what the members say before the client asks the first question.
func withFakes(
    _ count: Int, log: LogRecorder = LogRecorder(), configure: (inout EtcdConfiguration) -> Void = { _ in },
    prepare: ([FakeMember]) -> Void = { _ in }, _ body: ([FakeServer], EtcdClient) async throws -> Void
) async throws {
    let servers = (0..<count).map { _ in FakeServer() }
    for (index, server) in servers.enumerated() { server.member.change { $0.memberID = UInt64(index + 1) } }
    prepare(servers.map(\.member))
    try await withThrowingTaskGroup(of: Void.self) { group in
        for server in servers { group.addTask { await server.run() } }
        defer { for server in servers { server.stop() } }
        var endpoints: [EtcdEndpoint] = []
        for server in servers { endpoints.append(try await server.endpoint) }
        var configuration = EtcdConfiguration(endpoints: endpoints)
        // A busy machine is no dead member.
        configuration.connectTimeout = .seconds(10)
        configuration.attemptTimeout = .seconds(10)
        configuration.requestTimeout = .seconds(20)
        configure(&configuration)
        let client = try EtcdClient(configuration: configuration, logger: log.logger)
        client.book.withLock { $0 = EndpointBook(seeds: configuration.endpoints, first: 0) }
        // It ends before its members do.
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await client.run() }
            defer { group.cancelAll() }
            try await body(servers, client)
        }
    }
}

/// As `withFakes`, with one member.
func withFake(
    log: LogRecorder = LogRecorder(), configure: (inout EtcdConfiguration) -> Void = { _ in },
    prepare: (FakeMember) -> Void = { _ in }, _ body: (FakeServer, EtcdClient) async throws -> Void
) async throws {
    try await withFakes(1, log: log, configure: configure, prepare: { prepare($0[0]) }) { servers, client in
        try await body(servers[0], client)
    }
}
