// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Both sides write, stall, end and reset as a seed has it; what arrives must be what TCP itself would have shown.
    @Suite struct RandomScheduleTests {
        /// Splicing never, always through small pipes, and after the first full read: with messages of all sizes a
        /// direction then changes its way in mid-stream, both ways.
        private static let policies = [
            SplicePolicy.off, SplicePolicy(maxPipes: 3, pipeBytes: 8192, fullReads: 0), SplicePolicy(fullReads: 1),
        ]

        /// One for each direction of a run, so that a byte of another connection shows.
        private static let patterns = (UInt64(41)...48).map { Pattern(seed: $0) }

        @Test(arguments: UInt64(1)...24, policies)
        func nothingIsLostChangedOrInvented(seed: UInt64, splicing: SplicePolicy) async throws {
            try await withRelay(workers: 2, splicing: splicing) { relay in
                try self.run(relay, try TestBackend(), seed: seed, resets: true)
            }
        }

        /// Without resets, which such sockets do not know.
        @Test(arguments: UInt64(1)...8, policies)
        func norBetweenUnixSockets(seed: UInt64, splicing: SplicePolicy) async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            try await withRelay(workers: 2, splicing: splicing, path: paths.client) { relay in
                try self.run(relay, try TestBackend(at: paths.backend), seed: seed, resets: false)
                _ = folder
            }
        }

        private func run(_ relay: RelayFixture, _ backend: TestBackend, seed: UInt64, resets: Bool) throws {
            relay.apply(backend)
            var random = QuickRandom(seed: seed)
            let pairs = try (0..<4).map { _ in try relay.connectedPair(to: backend) }
            let runs = pairs.enumerated().map { number, pair in
                let up = Schedule(&random, pattern: Self.patterns[2 * number], resets: resets)
                let down = Schedule(&random, pattern: Self.patterns[2 * number + 1], resets: resets)
                return (
                    up, down,
                    [
                        Beside { try up.write(to: pair.client) }, Beside { try down.write(to: pair.backend) },
                        Beside { try up.read(from: pair.backend) }, Beside { try down.read(from: pair.client) },
                    ]
                )
            }
            var (ups, downs) = ([UInt64](), [UInt64]())
            for (up, down, threads) in runs {
                for thread in threads { _ = try thread.join() }
                let (sentUp, sentDown) = (try threads[0].join(), try threads[1].join())
                let (gotUp, gotDown) = (try threads[2].join(), try threads[3].join())
                #expect(gotUp.count <= sentUp.count && gotDown.count <= sentDown.count)
                let isOrderly = !up.endsWithReset && !down.endsWithReset
                if isOrderly {
                    #expect(gotUp == sentUp && gotDown == sentDown, "seed \(seed)")
                    ups.append(UInt64(gotUp.count))
                    downs.append(UInt64(gotDown.count))
                } else {
                    // A reset on one side shows on the other, unless that one had ended its own reading before.
                    #expect(gotUp.end == .reset || gotDown.end == .reset, "seed \(seed)")
                    // All that came before the only reset there was is handed over first.
                    if !down.endsWithReset { #expect(gotUp.count == sentUp.count, "seed \(seed)") }
                    if !up.endsWithReset { #expect(gotDown.count == sentDown.count, "seed \(seed)") }
                }
            }
            try eventually("all have ended") { relay.ends.count == pairs.count }
            try eventually("none is counted as open") { relay.totals.openConnections == 0 }
            // What the relay says of the orderly ones is what came, to the byte.
            let orderly = relay.ends.filter { $0.reason == .finished }
            #expect(orderly.map(\.bytesFromClient).sorted() == ups.sorted(), "seed \(seed)")
            #expect(orderly.map(\.bytesFromBackend).sorted() == downs.sorted(), "seed \(seed)")
        }
    }
}

/// One direction of one connection: how it is written and how it is read.
private struct Schedule: Sendable {
    struct Outcome: Equatable {
        var count = 0
        var end = StreamEnd.finished
    }

    private let pattern: Pattern
    private let parts: [Int]
    private let pausesMicroseconds: [UInt32]
    /// The reader stops for a while when it has got so many bytes.
    private let stallsAfter: [Int]
    let endsWithReset: Bool

    init(_ random: inout QuickRandom, pattern: Pattern, resets: Bool) {
        self.pattern = pattern
        parts = (0..<Int.random(in: 0...12, using: &random)).map { _ in
            // From single bytes to several buffers.
            1 << Int.random(in: 0...19, using: &random)
        }
        pausesMicroseconds = parts.map { _ in .random(in: 0...2_000, using: &random) }
        let total = parts.reduce(0, +)
        stallsAfter = (0..<Int.random(in: 0...3, using: &random)).map { _ in .random(in: 0...total, using: &random) }
            .sorted()
        endsWithReset = resets && Int.random(in: 0..<6, using: &random) == 0
    }

    /// - Returns: what was sent; fewer than planned when the connection was reset meanwhile.
    func write(to socket: TestSocket) throws -> Outcome {
        var outcome = Outcome()
        do {
            for (part, pause) in zip(parts, pausesMicroseconds) {
                // Counted before: a part whose sending fails may have gone in half.
                outcome.count += part
                try pattern.sendPart(from: outcome.count - part, count: part, on: socket)
                usleep(pause)
            }
        } catch let error as SyscallError where error.number == ECONNRESET || error.number == EPIPE {
            outcome.end = .reset
            return outcome
        }
        if endsWithReset {
            // What TCP has not brought to the relay when its sender resets is TCP's to lose; the rest is the relay's to bring on.
            // A socket that was reset itself keeps what nobody will acknowledge.
            try eventually("the bytes before a reset have arrived") {
                StreamSocket.unacknowledgedBytes(socket.descriptor) == 0 || socket.isOver
            }
            StreamSocket.resetOnClose(socket.descriptor)
            // Not close: the other direction's reader is still in `recv` on it. Disconnecting resets as well.
            var none = sockaddr()
            none.sa_family = sa_family_t(AF_UNSPEC)
            connect(socket.descriptor, &none, socklen_t(MemoryLayout<sockaddr>.size))
            outcome.end = .reset
        } else {
            socket.endWriting()
        }
        return outcome
    }

    func read(from socket: TestSocket) throws -> Outcome {
        var stalls = stallsAfter[...]
        let (count, end) = try pattern.receiveUntilEnd(of: socket) { received in
            while let next = stalls.first, next <= received {
                stalls.removeFirst()
                usleep(30_000)
            }
        }
        return Outcome(count: count, end: end)
    }
}
