// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// More clients than there is room for: docs/promises.md, "The relay".
@Suite(.tags(.integration), .untilHung)
struct RelayLimitTests {
    private static let clients = 500
    /// When somebody waits, places that become free are found within this.
    private static let resumption = Duration.seconds(1)

    /// `ulimit -n 300`: it stops accepting before it runs out.
    @Test(.row("D11")) func withFewDescriptorsTheOthersWaitUntilThereIsRoom() async throws {
        try await withFaultyNetwork { faults in
            let backend = try await faults.backend(1, Backend.naming("it"))
            // One worker, so that clients are let in in their order: of two, on a busy machine, one may have given out all
            // places before the other wakes, and the first of our clients wait at the other.
            let forward = try await faults.forward(
                [backend.endpoint], ["--workers", "1"], wrapper: ["prlimit", "--nofile=300:300"])
            // docs/promises.md: 300 descriptors, less min(256, 300/4) and two for each of 300/64 pipes, two a connection.
            let places = (300 - 75 - 2 * 4) / 2
            let clients = try await Self.crowd(forward, in: faults)
            try await waitFor("all places to be taken") { backend.openConnections == places }
            try await Self.isAlmostIdle(forward)
            #expect(backend.openConnections == places, "nobody else is let in")
            #expect(try forward.process.descriptorCount <= 300)
            try await Self.all(clients, are: "it", behind: backend, places: places)
        }
    }

    /// EMFILE in spite of what it had reckoned with at its start.
    @Test(.row("D11")) func withoutDescriptorsItRestsAndGoesOnWhenThereAreSome() async throws {
        try await withFaultyNetwork { faults in
            let backend = try await faults.backend(1, Backend.naming("it"))
            let forward = try await faults.forward([backend.endpoint])
            #expect(try await faults.servedBy(forward) == "it")
            let before = backend.dials.count
            let limit = try forward.process.descriptorCount + 100
            try await Self.limit(forward, descriptors: "\(limit):", faults)
            let clients = try await Self.crowd(forward, in: faults)
            try await waitFor("connections") { backend.dials.count > before }
            try await forward.process.rest(for: .milliseconds(50))
            try await Self.isAlmostIdle(forward)
            #expect(backend.dials.count - before < Self.clients / 2)
            // The rest of the process needs some, and must not meet EMFILE: libdispatch would end it.
            let taken = try forward.process.descriptorCount
            #expect(taken <= limit - 16)
            let raised = ContinuousClock.now
            // The hard limit is as it was.
            try await Self.limit(forward, descriptors: "10000:", faults)
            try await eventually("D11: accepts again", within: Self.resumption, since: raised) {
                backend.openConnections > limit / 2
            }
            let names = try await blocking { try clients.map { try $0.receiveLine() } }
            #expect(names == Array(repeating: "it", count: Self.clients))
        }
    }

    /// While the relay does not come to accept, the kernel keeps 4,096 of them; a few thousand at once do not need more.
    @Test(.row("D12")) func fiveThousandClientsAtOnceAreServed() async throws {
        try await withFaultyNetwork(.heavy) { faults in
            let count = 5000
            let redis = try await faults.redis()
            let forward = try await faults.forward([redis], ["--workers", "1"])
            try forward.process.pause()
            let (clients, took) = try await faults.network.run {
                let start = ContinuousClock.now
                let clients = try (0..<count).map { _ in
                    try TCPConnection.begin(to: forward.endpoint, limit: .seconds(60))
                }
                return (clients, ContinuousClock.now - start)
            }
            try await waitFor("as many as the kernel keeps") { clients.count { $0.remoteEndpoint != nil } >= 4096 }
            let waiting = clients.count { $0.remoteEndpoint != nil }
            print("D12: \(count) connects in \(took.milliseconds) ms, \(waiting) wait to be accepted")
            try forward.process.resume()
            let resumed = ContinuousClock.now
            let answers = try await blocking {
                for client in clients { try client.send("PING\r\n") }
                return try clients.map { try $0.receiveLine() }
            }
            report(ContinuousClock.now - resumed, "D12: \(count) clients served", promise: .seconds(5))
            #expect(answers.allSatisfy { $0 == "+PONG" })
            #expect(ContinuousClock.now - resumed < .seconds(15))
            // Or each would leave a port behind for a minute.
            for client in clients { client.reset() }
        }
    }

    // MARK: - Parts

    /// Clients who have connected, which says nothing of whether they were accepted.
    private static func crowd(_ relay: Proxy, in faults: FaultyNetwork) async throws -> [TCPConnection] {
        try await faults.network.run {
            try (0..<clients).map { _ in try TCPConnection.connect(to: relay.endpoint, limit: .seconds(60)) }
        }
    }

    /// Less than 5 % of a core, for 2 s.
    private static func isAlmostIdle(_ relay: Proxy) async throws {
        let (start, before) = (ContinuousClock.now, try relay.process.processorTime)
        try await Task.sleep(for: .seconds(2))
        let used = try relay.process.processorTime - before
        let part = used / (ContinuousClock.now - start)
        print("D11: \((part * 1000).rounded() / 10) % of a core at the limit")
        #expect(part < 0.05)
    }

    /// Each client in turn is served and goes, which lets in one who waits.
    private static func all(
        _ clients: [TCPConnection], are name: String, behind backend: Backend, places: Int
    ) async throws {
        let names = Recorder<String?>()
        let longest = try await blocking {
            var longest = Duration.zero
            for client in clients {
                let start = ContinuousClock.now
                names.record(try client.receiveLine())
                longest = max(longest, ContinuousClock.now - start)
                client.close()
            }
            return longest
        }
        report(longest, "D11: the longest wait for a place", promise: resumption)
        #expect(names.all == Array(repeating: name, count: clients.count))
        #expect(longest < resumption * 3)
    }

    private static func limit(_ relay: Proxy, descriptors: String, _ faults: FaultyNetwork) async throws {
        let words = ["--pid", "\(try relay.process.pid)", "--nofile=\(descriptors)"]
        let outcome = try await faults.stage.run(Command("prlimit", words))
        guard outcome.succeeded else { throw MissingPart("\(outcome)") }
    }
}

extension FaultyNetwork {
    /// A real redis-server: a program of its own, which takes thousands of connections.
    fileprivate func redis() async throws -> Endpoint {
        let endpoint = try Endpoint(address(1), port: FreePorts.take())
        let words = ["--bind", "\(endpoint.address)", "--port", "\(endpoint.port)", "--maxclients", "8000"]
        let quiet = ["--save", "", "--appendonly", "no", "--tcp-backlog", "4096", "--dir", try stage.directory()]
        _ = try await stage.start(Command("redis-server", words + quiet, networkOf: holder))
        try await waitFor("redis-server at \(endpoint)") {
            try await RedisProcess.ask("PING", at: endpoint, from: network) == "PONG"
        }
        return endpoint
    }
}
