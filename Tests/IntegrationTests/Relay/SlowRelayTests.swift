// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What takes too long for every commit: `make slow` runs these, all at once, since all of them wait.
@Suite(.tags(.integration), .untilHung)
struct SlowRelayTests {
    private static let pause = Duration.seconds(90)

    @Test(.row("D6"), arguments: RelayEndTests.Side.allCases)
    func aConnectionWhosePeerVanishedWithDataUnderWayIsFreed(vanishing: RelayEndTests.Side) async throws {
        try await VanishScene.isFreed(vanishing, .underWay)
    }

    /// It looks like a reader that has stopped, until its probes stay unanswered.
    @Test(.row("D6"), arguments: RelayEndTests.Side.allCases)
    func aReaderThatStoppedAndThenVanishedIsFreed(vanishing: RelayEndTests.Side) async throws {
        try await VanishScene.isFreed(vanishing, .behindAClosedWindow)
    }

    @Test(.row("D6", "D9"), arguments: RelayEndTests.Side.allCases)
    func aReaderThatStopsForNinetySecondsLosesNothing(slow: RelayEndTests.Side) async throws {
        try await withStage(.waiting) { stage in
            let count = 50 << 20
            let pattern = BytePattern(seed: 8)
            let ends = Recorder<String>()
            let sending = { @Sendable (connection: TCPConnection) in
                try pattern.send(count, on: connection)
                try connection.finishSending()
                ends.record(try connection.receiveToEnd().isEmpty ? "sent" : "unexpected bytes")
            }
            let reading = { @Sendable (connection: TCPConnection) in
                // In mid-stream, when the relay splices; then nothing for as long as no timer of a relay should be.
                try pattern.receiveAll(count, on: connection, pausingAfter: 5 << 20) { blockThread(for: Self.pause) }
                ends.record("received")
            }
            let backend = try await stage.backend(slow == .client ? sending : reading)
            let forward = try await stage.forward(["\(backend.endpoint)"])
            let start = ContinuousClock.now
            try await blocking {
                let client = try TCPConnection.connect(to: forward.endpoint, limit: .seconds(300))
                try (slow == .client ? reading : sending)(client)
            }
            #expect(try await ends.first(2, "both sides", within: .seconds(60)).sorted() == ["received", "sent"])
            let took = ContinuousClock.now - start
            print("D9: a \(slow) that reads nothing for 90 s has all of it after \(took.milliseconds) ms")
        }
    }
}
