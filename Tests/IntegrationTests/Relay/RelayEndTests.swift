// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// How the ends of streams pass through the relay: a half-close as one, a reset as one, each behind what was sent before.
@Suite(.tags(.integration), .untilHung)
struct RelayEndTests {
    enum Side: String, CaseIterable, Sendable { case client, instance }

    @Test(.row("D7"), arguments: Side.allCases) func theOtherDirectionOutlivesAHalfClose(first: Side) async throws {
        try await withStage { stage in
            let count = 50 << 20
            let pattern = BytePattern(seed: 6)
            let words = Recorder<String>()
            // Ends its own direction, and gets 50 MB after that end has arrived.
            let ending = { @Sendable (connection: TCPConnection) in
                try connection.send("last words\n")
                try connection.finishSending()
                try pattern.receiveAll(count, on: connection)
                words.record("received")
            }
            let answering = { @Sendable (connection: TCPConnection) in
                words.record(String(decoding: try connection.receiveToEnd(), as: UTF8.self))
                try pattern.send(count, on: connection)
                try connection.finishSending()
            }
            let backend = try await stage.backend(first == .client ? answering : ending)
            let forward = try await stage.forward(["\(backend.endpoint)"])
            let start = ContinuousClock.now
            try await blocking {
                let client = try TCPConnection.connect(to: forward.endpoint, limit: .seconds(60))
                try first == .client ? ending(client) : answering(client)
            }
            #expect(try await words.first(2, "both ends") == ["last words\n", "received"])
            print("D7: \(count >> 20) MiB after the \(first)'s end in \((ContinuousClock.now - start).milliseconds) ms")
            try await waitFor("the connection's end") { backend.openConnections == 0 }
        }
    }

    /// SO_LINGER with no time, right behind some bytes.
    @Test(.row("D8"), arguments: Side.allCases) func aResetComesBehindWhatWasSentBefore(first: Side) async throws {
        try await withStage { stage in
            let ends = Recorder<StreamEnd>()
            let resetting = { @Sendable (connection: TCPConnection) in
                // Both ends are there once the greeting has come.
                guard try connection.receiveLine() == "ready" else { throw Unexpected("no greeting") }
                try connection.send("last words\n")
                connection.reset()
            }
            let listening = { @Sendable (connection: TCPConnection) in
                try connection.send("ready\n")
                ends.record(StreamEnd(of: connection))
            }
            let backend = try await stage.backend(first == .client ? listening : resetting)
            let forward = try await stage.forward(["\(backend.endpoint)"])
            let count = 100
            try await blocking {
                for _ in 0..<count {
                    let client = try TCPConnection.connect(to: forward.endpoint)
                    try first == .client ? resetting(client) : listening(client)
                }
            }
            let all = try await ends.first(count, "resets")
            #expect(all.allSatisfy { $0.bytes == Array("last words\n".utf8) })
            let others = all.count { !$0.isReset }
            #expect(others == 0, "of \(count) ends, no resets")
        }
    }

    /// Whose socket of the connection's four is ended by the kernel.
    enum Socket: String, CaseIterable, Sendable { case ofClient, towardsClient, towardsInstance, ofInstance }

    @Test(.row("D8"), arguments: Socket.allCases) func aSocketThatTheKernelEndsIsAResetForBoth(socket: Socket)
        async throws
    {
        try await withFaultyNetwork { faults in
            let ends = Recorder<StreamEnd>()
            let backend = try await faults.backend(1) { connection in
                try connection.send("ready\n")
                ends.record(StreamEnd(of: connection))
            }
            let forward = try await faults.forward([backend.endpoint])
            let client = try await faults.connect(forward)
            try await blocking {
                guard try client.receiveLine() == "ready" else { throw Unexpected("no greeting") }
            }
            let relay = "\(forward.endpoint.port)"
            let instance = "\(backend.endpoint.port)"
            let filter =
                switch socket {
                case .ofClient: "dport = :\(relay)"
                case .towardsClient: "sport = :\(relay)"
                case .towardsInstance: "dport = :\(instance)"
                case .ofInstance: "sport = :\(instance)"
                }
            #expect(try await faults.destroy(filter) == 1)
            let start = ContinuousClock.now
            let atClient = try await blocking { StreamEnd(of: client) }
            let atInstance = try await ends.first(1, "the end at the instance")[0]
            report(ContinuousClock.now - start, "D8: socket \(socket) ended", promise: .milliseconds(100))
            #expect(ContinuousClock.now - start < .seconds(2))
            for (end, whose) in [(atClient, Socket.ofClient), (atInstance, .ofInstance)] {
                #expect(end.bytes.isEmpty)
                // The kernel tells whose socket it ends that it was aborted.
                #expect(socket == whose ? end.failure != nil : end.isReset, "\(whose): \(end)")
            }
        }
    }
}
