// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Bytes stay as they are, whatever the network does on either side of the relay.
@Suite(.tags(.integration), .untilHung)
struct RelayBadNetworkTests {
    enum Fault: String, CaseIterable, Sendable {
        case latency, bandwidth, slices, lateEnd, stall

        var faults: LineFaults {
            var faults = LineFaults()
            switch self {
            case .latency: faults.latency = .milliseconds(40)
            case .bandwidth: faults.bytesPerSecond = 2 << 20
            case .slices: (faults.sliceBytes, faults.slicePause) = (1000, .microseconds(200))
            case .lateEnd: faults.closeDelay = .milliseconds(500)
            case .stall: faults.isStalled = true
            }
            return faults
        }
    }

    @Test(.row("D7", "D9"), arguments: Fault.allCases) func everyByteArrivesInOrder(fault: Fault) async throws {
        try await withStage { stage in
            let count = 2 << 20
            let (up, down) = (BytePattern(seed: 10), BytePattern(seed: 11))
            let ends = Recorder<String>()
            let backend = try await stage.backend { connection in
                exchange(sending: down, receiving: up, count, on: connection, ends)
            }
            let behind = try stage.faultProxy(to: backend.endpoint)
            let forward = try await stage.forward(["\(behind.endpoint)"])
            let before = try stage.faultProxy(to: forward.endpoint)
            for proxy in [before, behind] { proxy.setBoth(fault.faults) }
            let start = ContinuousClock.now
            async let client: Void = blocking {
                let client = try TCPConnection.connect(to: before.endpoint, limit: .seconds(60))
                exchange(sending: up, receiving: down, count, on: client, ends)
            }
            if fault == .stall {
                // One side goes on, and later the other.
                try await forward.process.rest()
                behind.setBoth()
                try await forward.process.rest()
                #expect(ends.all.allSatisfy { $0 == "sent" })
                before.setBoth()
            }
            try await client
            let all = try await ends.first(4, "both directions", within: .seconds(60))
            #expect(all.sorted() == ["received", "received", "sent", "sent"])
            print("\(fault): 2 MiB each way in \((ContinuousClock.now - start).milliseconds) ms")
        }
    }

    /// Either network resets in the middle: what came before that is whole, and what comes then is a reset.
    @Test(.row("D8"), arguments: RelayEndTests.Side.allCases) func aResetInTheMiddleComesBehindWholeBytes(
        at side: RelayEndTests.Side
    ) async throws {
        try await withStage { stage in
            let text = Array(String(repeating: "0123456789", count: 100_000).utf8)
            let backend = try await stage.backend { connection in
                try text.withUnsafeBytes { try connection.send($0) }
                _ = try connection.receiveToEnd()
            }
            let behind = try stage.faultProxy(to: backend.endpoint)
            let forward = try await stage.forward(["\(behind.endpoint)"])
            let before = try stage.faultProxy(to: forward.endpoint)
            var limited = LineFaults()
            limited.resetAfterBytes = 500_000
            (side == .client ? before : behind).set(.down, limited)
            let end = try await blocking {
                StreamEnd(of: try TCPConnection.connect(to: before.endpoint, limit: .seconds(30)))
            }
            #expect(end.isReset)
            // Compared outside of the macro, which would print both.
            let isWhole = end.bytes == Array(text.prefix(500_000))
            #expect(isWhole, "\(end.bytes.count) bytes")
            try await waitFor("the end of all") { backend.openConnections == 0 && before.openConnections == 0 }
        }
    }
}
