// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Synchronization
import TestSupport
import Testing

/// Readers that do not read: what the relay keeps for them, and that none of it is lost.
@Suite(.tags(.integration), .untilHung)
struct RelaySlowReaderTests {
    /// What is kept at most for a direction whose receiver does not read (docs/promises.md, "The relay").
    private static let kept = 64 << 10
    /// What the relay may allocate for anything else meanwhile.
    private static let slack = 512 << 10

    @Test(.row("D9"), arguments: RelayEndTests.Side.allCases)
    func memoryStaysFlatWhileReadersDoNotRead(slow: RelayEndTests.Side) async throws {
        try await withStage(.heavy) { stage in
            let (count, readers) = (50 << 20, 8)
            let pattern = BytePattern(seed: 7)
            let mayRead = Mutex(false)
            let flooding = { @Sendable (connection: TCPConnection) in
                try pattern.send(count, on: connection)
                try connection.finishSending()
            }
            let idling = { @Sendable (connection: TCPConnection) in
                while !mayRead.withLock({ $0 }) { blockThread(for: .milliseconds(20)) }
                try pattern.receiveAll(count, on: connection)
            }
            let backend = try await stage.backend { connection in
                try (slow == .client ? flooding : idling)(connection)
                // Its client ends the connection.
                _ = try connection.receiveToEnd()
            }
            let forward = try await stage.forward(["\(backend.endpoint)"])
            // One after the other, so that what the relay needs at all is there before it is measured.
            let run = { @Sendable in
                let client = try TCPConnection.connect(to: forward.endpoint, limit: .seconds(60))
                try (slow == .client ? idling : flooding)(client)
                guard try client.receiveToEnd().isEmpty else { throw Unexpected("more bytes") }
            }
            mayRead.withLock { $0 = true }
            try await blocking { try run() }
            mayRead.withLock { $0 = false }
            let before = try forward.process.anonymousBytes

            let ends = Recorder<String>()
            for _ in 0..<readers {
                startThread {
                    do {
                        try run()
                        ends.record("all")
                    } catch {
                        ends.record("\(error)")
                    }
                }
            }
            try await waitFor("all of them") { backend.openConnections == readers }
            // Stuck: there is nothing left that anybody would take.
            try await forward.process.rest()
            let start = ContinuousClock.now
            var most = 0
            while ContinuousClock.now - start < .seconds(3) {
                most = max(most, try forward.process.anonymousBytes - before)
                try await Task.sleep(for: .milliseconds(50))
            }
            print("D9: \(readers) \(slow)s that do not read 50 MiB: the relay grew by \(most >> 10) KiB")
            #expect(most <= readers * Self.kept + Self.slack)
            #expect(ends.all.isEmpty)
            mayRead.withLock { $0 = true }
            let all = try await ends.first(readers, "all streams", within: .seconds(60))
            #expect(all == Array(repeating: "all", count: readers))
        }
    }
}
