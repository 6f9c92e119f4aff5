// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Instances that no connection can be made to, as clients see it: docs/promises.md, "Defaults".
@Suite(.tags(.integration), .untilHung)
struct RelayConnectTests {
    /// One attempt, and all of them (docs/promises.md, "Defaults").
    private static let attempt = Duration.seconds(1)
    private static let allAttempts = Duration.seconds(5)

    @Test(.row("D1")) func anInstanceThatRefusesCostsNoClientAnything() async throws {
        try await withFaultyNetwork { faults in
            let first = try await faults.backend(1, Backend.naming("first"))
            let second = try await faults.backend(2, Backend.naming("second"))
            // Every client is to meet the first target, until that is out of use.
            let forward = try await faults.forward([first.endpoint, second.endpoint])
            let round = { @Sendable in try ClientLoop.round(to: forward.endpoint) }
            try await withArrivals(perSecond: 50, in: faults.network, round) { arrivals in
                try await waitFor("clients of the first target") {
                    arrivals.rounds.count { $0.name == "first" } >= 50
                }
                // What a client costs on this machine, as it is now.
                let before = arrivals.rounds.medianTime
                try await arrivals.betweenRounds { try await faults.refuse(first.endpoint) }
                let refused = ContinuousClock.now
                try await waitFor("a hundred clients") { arrivals.rounds(from: refused).count >= 100 }
                let rounds = arrivals.rounds(from: refused)
                report(rounds.medianTime, "D1: a client whose first instance refuses", promise: .milliseconds(5))
                // Neither an attempt's time nor a pause between rounds of attempts.
                #expect(rounds.medianTime < before + .milliseconds(100))
                #expect(rounds.longestTime < Self.allAttempts)
                #expect(rounds.share(of: "second") == 1)
                #expect(try await faults.callers(of: first.endpoint) > 0)
                #expect(arrivals.failures.isEmpty)
            }
        }
    }

    /// kill -9 of the only instance there is, and one second until it is back.
    @Test(.row("D1")) func aRedisThatIsDownForASecondUnderLoadCostsNoConnect() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            var redis = try await stage.redis()
            try await etcd.putInstance("/services/redis-A/one", redis.endpoint)
            let proxy = try await stage.proxy("redis-A", etcd: etcd)
            let ping = { @Sendable in
                let connection = try TCPConnection.connect(to: proxy.endpoint)
                guard let answer = try RedisProcess.answer(to: "PING", on: connection) else {
                    throw Unexpected("an end instead of an answer")
                }
                return answer
            }
            for attempt in 1...3 {
                let running = redis
                let (arrivals, down, up) = try await withArrivals(perSecond: 200, ping) { arrivals in
                    try await waitFor("some clients") { arrivals.rounds.count >= 100 }
                    try await arrivals.betweenRounds { try await running.process.killAndWait() }
                    let down = ContinuousClock.now
                    try await Task.sleep(until: down + .seconds(1))
                    redis = try await stage.redis(port: running.endpoint.port)
                    let up = ContinuousClock.now
                    try await waitFor("clients of the new one") { arrivals.rounds(from: up).count >= 200 }
                    return (arrivals, down, up)
                }
                let waited = arrivals.rounds(from: down, to: up)
                print(
                    "Redis down for \((up - down).milliseconds) ms: \(waited.count) clients came meanwhile,",
                    "the longest waited \(waited.longestTime.milliseconds) ms; \(arrivals.failures.count) failed")
                // Where Redis takes so long to start, its clients' time is over.
                if up - down > Self.allAttempts - .seconds(1) && attempt < 3 { continue }
                #expect(waited.count >= 150, "clients at 200/s")
                #expect(arrivals.failures.isEmpty)
                #expect(arrivals.rounds.allSatisfy { $0.name == "PONG" })
                break
            }
        }
    }

    enum Silence: String, CaseIterable, Sendable { case packetsVanish, queueIsFull }

    /// What a client sends meanwhile is kept for the instance that accepts.
    @Test(.row("D2", "D4"), arguments: Silence.allCases)
    func anInstanceThatDoesNotAnswerCostsOneAttempt(silence: Silence) async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let count = 1 << 20
            let pattern = BytePattern(seed: 5)
            let good = try await faults.backend(2) { connection in
                try pattern.receiveAll(count, on: connection)
                try connection.send("all of it\n")
            }
            let silent = try await SilentInstance(silence, in: faults)
            let forward = try await faults.forward([silent.endpoint, good.endpoint])
            let start = ContinuousClock.now
            let answer = try await faults.network.run {
                let client = try TCPConnection.connect(to: forward.endpoint)
                try pattern.send(count, on: client)
                try client.finishSending()
                return try client.receiveLine()
            }
            let took = ContinuousClock.now - start
            report(took, "D2, D4: the next instance when one is silent (\(silence))", promise: Self.attempt)
            #expect(answer == "all of it")
            #expect(took > Self.attempt - .milliseconds(100) && took < Self.attempt * 3)
            #expect(good.dials.count == 1)
        }
    }

    @Test(.row("D2", "D4"), arguments: Silence.allCases)
    func aClientOfSilentInstancesIsResetWhenItsTimeIsOver(silence: Silence) async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let silent = try await SilentInstance(silence, in: faults)
            let forward = try await faults.forward([silent.endpoint])
            let start = ContinuousClock.now
            let end = try await faults.network.run {
                StreamEnd(of: try TCPConnection.connect(to: forward.endpoint, limit: .seconds(30)))
            }
            let took = ContinuousClock.now - start
            report(took, "D2, D4: a client of silent instances is reset (\(silence))", promise: Self.allAttempts)
            #expect(end.isReset && end.bytes.isEmpty, "\(end)")
            #expect(took > Self.allAttempts - .seconds(1) && took < Self.allAttempts * 3)
        }
    }

    @Test(.row("D13")) func withoutAPortTowardsOneInstanceTheNextIsUsedAndNobodyIsTakenOutOfUse() async throws {
        try await withFaultyNetwork { faults in
            let first = try await faults.backend(1, Backend.naming("first"))
            let second = try await faults.backend(2, Backend.naming("second"))
            let forward = try await faults.forward([first.endpoint, second.endpoint])
            try await faults.setLocalPorts(40_000...40_009)
            // Each client has an address, and thus ten ports, of its own; the relay dials from one address.
            var clients: [(connection: TCPConnection, name: String?)] = []
            for number in 0..<20 {
                let client = try await faults.connect(forward, from: faults.address(100 + number))
                clients.append((client, try await blocking { try client.receiveLine() }))
            }
            #expect(clients.map(\.name) == (0..<20).map { $0 < 10 ? "first" : "second" })
            try await forward.process.firstLine(
                containing: "no local port left towards an instance", "\(first.endpoint)")
            #expect(forward.process.lines(containing: "instance does not accept connections").isEmpty)
            #expect(forward.process.lines(containing: "instance is out of use").isEmpty)
            // One port towards each becomes free. The first has lacked one ten times by then, and is still the first.
            for number in [0, 10] { clients[number].connection.reset() }
            try await waitFor("the ports to be free") { first.openConnections == 9 && second.openConnections == 9 }
            let freed = ContinuousClock.now
            let next = try await faults.connect(forward, from: faults.address(150))
            let name = try await blocking { try next.receiveLine() }
            report(ContinuousClock.now - freed, "D13: served again by whom no port led to", promise: .milliseconds(5))
            #expect(name == "first")
            #expect(ContinuousClock.now - freed < .seconds(2))
        }
    }
}

/// An instance that leaves connects unanswered.
private struct SilentInstance: Sendable {
    let endpoint: Endpoint
    private let listener: FullListener?

    init(_ silence: RelayConnectTests.Silence, in faults: FaultyNetwork) async throws {
        switch silence {
        case .packetsVanish:
            endpoint = try await faults.backend(1, Backend.naming("silent")).endpoint
            listener = nil
            try await faults.blackhole(endpoint)
        case .queueIsFull:
            let full = try await faults.network.run { [address = faults.address(1)] in
                try FullListener(on: address)
            }
            guard full.queued == 1 else { throw Unexpected("\(full.queued) are in the queue") }
            endpoint = full.endpoint
            listener = full
        }
    }
}
