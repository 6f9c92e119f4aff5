// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What the relay owes to every connection: each byte once, in order, each end of a stream as what it was, and no
/// descriptor more than it needs.
@Suite(.tags(.integration), .untilHung)
struct RelayedBytesTests {
    @Test func carriesAGigabyteEachWayUnchanged() async throws {
        try await withStage(.heavy) { stage in
            let count = 1 << 30
            let up = BytePattern(seed: 1)
            let down = BytePattern(seed: 2)
            let ends = Recorder<String>()
            let backend = try await stage.backend { connection in
                exchange(sending: down, receiving: up, count, on: connection, ends)
            }
            let forward = try await stage.forward(["\(backend.endpoint)"])
            try await Self.descriptorsComeBack(forward) {
                let start = ContinuousClock.now
                try await blocking {
                    let client = try TCPConnection.connect(to: forward.endpoint, limit: .seconds(120))
                    exchange(sending: up, receiving: down, count, on: client, ends)
                }
                let all = try await ends.first(4, "both directions", within: .seconds(120))
                #expect(all.sorted() == ["received", "received", "sent", "sent"])
                print("1 GiB each way in \((ContinuousClock.now - start).milliseconds) ms")
            }
        }
    }

    @Test func carriesAThousandConnectionsAtOnce() async throws {
        try await withStage(.heavy) { stage in
            let backend = try await stage.backend(Backend.echo)
            let forward = try await stage.forward(["\(backend.endpoint)"])
            try await Self.descriptorsComeBack(forward) {
                let wrong = try await blocking {
                    var connections: [TCPConnection] = []
                    for _ in 0..<1000 { connections.append(try TCPConnection.connect(to: forward.endpoint)) }
                    for (number, connection) in connections.enumerated() { try connection.send("number \(number)\n") }
                    var wrong: [Int] = []
                    for (number, connection) in connections.enumerated()
                    where try connection.receiveLine() != "number \(number)" { wrong.append(number) }
                    guard backend.openConnections == 1000 else { throw Unexpected("not all open at once") }
                    for connection in connections { try connection.finishSending() }
                    for (number, connection) in connections.enumerated()
                    where try !connection.receiveToEnd().isEmpty { wrong.append(number) }
                    return wrong
                }
                #expect(wrong.isEmpty)
                try await waitFor("ends at the backend") { backend.openConnections == 0 }
            }
            #expect(backend.dials.count == 1000)
        }
    }

    @Test func forwardsAHalfCloseOfEitherSide() async throws {
        try await withStage { stage in
            let late = BytePattern(seed: 3)
            let count = 3_000_000
            let seen = Recorder<String>()
            // Answers only after its client's end.
            let answering = try await stage.backend { connection in
                seen.record(late.receiving(count, on: connection))
                try late.send(count, on: connection)
            }
            // Ends first and listens on.
            let silent = try await stage.backend { connection in
                try connection.send("bye\n")
                try connection.finishSending()
                seen.record(late.receiving(count, on: connection))
            }
            let first = try await stage.forward(["\(answering.endpoint)"])
            let second = try await stage.forward(["\(silent.endpoint)"])
            try await Self.descriptorsComeBack(first) {
                try await blocking {
                    let client = try TCPConnection.connect(to: first.endpoint)
                    try late.send(count, on: client)
                    try client.finishSending()
                    try late.receiveAll(count, on: client)
                }
            }
            try await Self.descriptorsComeBack(second) {
                try await blocking {
                    let client = try TCPConnection.connect(to: second.endpoint)
                    guard try client.receiveToEnd() == Array("bye\n".utf8) else { throw Unexpected("no bye") }
                    try late.send(count, on: client)
                    try client.finishSending()
                }
                #expect(try await seen.first(2, "both streams") == ["received", "received"])
            }
        }
    }

    @Test func aReaderThatStopsHoldsUpNobodyElse() async throws {
        try await withStage(.waiting) { stage in
            let pattern = BytePattern(seed: 4)
            let count = 64 << 20
            let flood = try await stage.backend { connection in
                try pattern.send(count, on: connection)
                try connection.finishSending()
                _ = try connection.receiveToEnd()
            }
            let forward = try await stage.forward(["--workers", "1", "\(flood.endpoint)"])
            try await Self.descriptorsComeBack(forward) {
                let stuck = try await blocking { try TCPConnection.connect(to: forward.endpoint, limit: .seconds(60)) }
                try await waitFor("the flood to reach the relay") { flood.openConnections == 1 }
                let before = try forward.process.residentBytes
                // Others flow beside it for 10 s, through the same worker.
                let start = ContinuousClock.now
                var others = 0
                while ContinuousClock.now - start < .seconds(10) || others < 3 {
                    try await blocking {
                        let other = try TCPConnection.connect(to: forward.endpoint, limit: .seconds(20))
                        try pattern.receiveAll(count, on: other)
                    }
                    others += 1
                    // A tenth of a processor is enough to see that they flow.
                    try await Task.sleep(for: .milliseconds(400))
                }
                let growth = try forward.process.residentBytes - before
                print("beside a reader that stopped: \(others) streams of 64 MiB, relay grew by \(growth >> 10) KiB")
                // Nothing of the 64 MiB that wait: what the relay keeps for one direction and some arithmetic's worth.
                #expect(growth < 8 << 20)
                try await blocking { try pattern.receiveAll(count, on: stuck) }
            }
        }
    }

    @Test func aResetStaysAReset() async throws {
        try await withStage { stage in
            let seen = Recorder<String>()
            let listening = try await stage.backend { connection in
                try connection.send("ready\n")
                do {
                    _ = try connection.receiveToEnd()
                    seen.record("end")
                } catch let failure as SocketFailure {
                    seen.record(failure.isReset ? "reset" : "\(failure)")
                }
            }
            // Throwing resets.
            let resetting = try await stage.backend { connection in
                _ = try connection.receiveLine()
                throw Unexpected("reset wanted")
            }
            let first = try await stage.forward(["\(listening.endpoint)"])
            let second = try await stage.forward(["\(resetting.endpoint)"])
            try await Self.descriptorsComeBack(first) {
                try await blocking {
                    let client = try TCPConnection.connect(to: first.endpoint)
                    guard try client.receiveLine() == "ready" else { throw Unexpected("not ready") }
                    client.reset()
                }
                #expect(try await seen.first(1, "the client's reset at the backend") == ["reset"])
            }
            try await Self.descriptorsComeBack(second) {
                let failure = try await blocking { () -> SocketFailure? in
                    let client = try TCPConnection.connect(to: second.endpoint)
                    try client.send("go\n")
                    do {
                        _ = try client.receiveToEnd()
                        return nil
                    } catch let failure as SocketFailure {
                        return failure
                    }
                }
                #expect(failure?.isReset == true, "the backend's reset at the client: \(String(describing: failure))")
            }
        }
    }

    /// A client that is gone before its backend answered leaves nothing behind.
    @Test func connectionsCutInEveryStateLeaveNothingBehind() async throws {
        try await withStage { stage in
            let backend = try await stage.backend(Backend.echo)
            let forward = try await stage.forward(["\(backend.endpoint)"])
            try await Self.descriptorsComeBack(forward) {
                try await blocking {
                    for number in 0..<200 {
                        let client = try TCPConnection.connect(to: forward.endpoint)
                        switch number % 4 {
                        case 0: client.reset()
                        case 1: client.close()
                        case 2:
                            try client.send("some bytes\n")
                            client.reset()
                        default:
                            guard try client.exchange("some bytes") == "some bytes" else { throw Unexpected("bytes") }
                            client.close()
                        }
                    }
                }
                try await waitFor("ends at the backend") { backend.openConnections == 0 }
            }
        }
    }

    /// Runs `body` and waits until the relay has as many descriptors open as before.
    private static func descriptorsComeBack(_ relay: Proxy, _ body: () async throws -> Void) async throws {
        let before = try await relay.process.settledDescriptors()
        try await body()
        var after = -1
        do {
            try await waitFor("descriptors to be closed", within: .seconds(5)) {
                after = try relay.process.descriptorCount
                return after == before
            }
        } catch is NeverHappened {}
        #expect(after == before, "descriptors")
    }
}
