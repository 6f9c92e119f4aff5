// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// The instrument itself, on real sockets.
@Suite(.tags(.integration), .untilHung)
struct FaultProxyTests {
    @Test func carriesBothDirectionsAndTheirEnds() async throws {
        try await withStage { stage in
            let (proxy, client) = try await Self.pair(stage)
            let pattern = BytePattern(seed: 9)
            let count = 3 << 20
            let ends = Recorder<String>()
            try await blocking {
                concurrently {
                    try? pattern.send(count, on: client)
                    try? client.finishSending()
                } and: {
                    do {
                        try pattern.receiveAll(count, on: client)
                        ends.record("all")
                    } catch {
                        ends.record("\(error)")
                    }
                }
            }
            #expect(ends.all == ["all"])
            client.close()
            try await waitFor("its end") { proxy.openConnections == 0 }
        }
    }

    @Test func delaysEachDirectionByItself() async throws {
        try await withStage { stage in
            let (proxy, client) = try await Self.pair(stage)
            var slow = LineFaults()
            slow.latency = .milliseconds(200)
            let time = { @Sendable () async throws -> Duration in
                let start = ContinuousClock.now
                #expect(try await blocking { try client.exchange("hello") } == "hello")
                return ContinuousClock.now - start
            }
            proxy.set(.up, slow)
            #expect(try await time() >= .milliseconds(200))
            proxy.set(.down, slow)
            #expect(try await time() >= .milliseconds(400))
            proxy.setBoth()
            // What is set holds for open connections.
            try await waitFor("no delay") { try await time() < .milliseconds(200) }
        }
    }

    @Test func stallsAndGoesOn() async throws {
        try await withStage { stage in
            let (proxy, client) = try await Self.pair(stage, limit: .seconds(3))
            #expect(try await blocking { try client.exchange("before") } == "before")
            var stalled = LineFaults()
            stalled.isStalled = true
            proxy.set(.down, stalled)
            await #expect(throws: SocketFailure.self) { try await blocking { try client.exchange("meanwhile") } }
            proxy.setBoth()
            try await waitFor("the rest") { try await blocking { try client.receiveLine() } == "meanwhile" }
        }
    }

    @Test func resetsAfterSoManyBytes() async throws {
        try await withStage { stage in
            let (proxy, client) = try await Self.pair(stage)
            var limited = LineFaults()
            limited.resetAfterBytes = 4
            proxy.set(.down, limited)
            let end = try await blocking {
                try client.send("hello\n")
                return StreamEnd(of: client)
            }
            #expect(end.isReset && end.bytes == Array("hell".utf8), "\(end)")
        }
    }

    @Test func resetsWhatIsOpen() async throws {
        try await withStage { stage in
            let (proxy, client) = try await Self.pair(stage)
            #expect(try await blocking { try client.exchange("hello") } == "hello")
            proxy.resetAll()
            #expect(try await blocking { StreamEnd(of: client) }.isReset)
            // Later ones are whole.
            let next = try await blocking { try TCPConnection.connect(to: proxy.endpoint) }
            #expect(try await blocking { try next.exchange("again") } == "again")
        }
    }

    /// A fault proxy before an echo, and a client of it.
    private static func pair(
        _ stage: Stage, limit: Duration = .seconds(10)
    ) async throws -> (FaultProxy, TCPConnection) {
        let proxy = try stage.faultProxy(to: try await stage.backend().endpoint)
        return (proxy, try await blocking { try TCPConnection.connect(to: proxy.endpoint, limit: limit) })
    }
}
