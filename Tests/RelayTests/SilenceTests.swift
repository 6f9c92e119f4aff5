// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Peers that vanish, peers that only read slowly, and connections on which nothing happens.
    @Suite struct SilenceTests {
        /// The defaults at a tenth: dead after 4 s.
        private static let quick = DeadPeerPolicy(
            firstLook: .seconds(1), interval: .milliseconds(500), patience: .seconds(3)
        )
        private static let promised = quick.firstLook + quick.patience

        enum Side: CaseIterable { case client, backend }

        @Test(arguments: Side.allCases)
        func peerThatVanishesWithDataOnItsWayIsFreed(side: Side) async throws {
            try await withRelay(limits: ConnectionLimits(deadPeer: Self.quick)) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let (lost, other) = side == .client ? (client, served) : (served, client)
                try lost.send("x")
                #expect(try other.receiveText(1) == "x")
                try lost.vanish()
                let begin = ContinuousClock.now
                try other.send("into the dark")
                try self.expectDeath(of: side, at: relay, within: Self.promised * 3)
                print("freed \(side) after \(ContinuousClock.now - begin), promised \(Self.promised)")
                #expect(ContinuousClock.now - begin >= Self.quick.patience)
                #expect(try other.end() == .reset)
            }
        }

        /// The time runs from the next probe, which comes later the longer the window has been closed.
        @Test(arguments: Side.allCases)
        func peerThatVanishesBehindAClosedWindowIsFreed(side: Side) async throws {
            try await withRelay(limits: ConnectionLimits(deadPeer: Self.quick)) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let (lost, other) = side == .client ? (client, served) : (served, client)
                let closing = ContinuousClock.now
                _ = try Pattern(seed: 20).sendUntilFull(on: other)
                try lost.vanish()
                let begin = ContinuousClock.now
                // Probes double their distance: the next one is no farther than the first is past.
                let promised = begin - closing + Self.promised
                try self.expectDeath(of: side, at: relay, within: promised * 3)
                print("freed \(side) after \(ContinuousClock.now - begin), promised \(promised)")
                #expect(try other.receiveAll().end == .reset)
            }
        }

        @Test(arguments: Side.allCases)
        func readerThatStopsForLongLosesNothing(side: Side) async throws {
            try await withRelay(limits: ConnectionLimits(deadPeer: Self.quick)) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let (reader, writer) = side == .client ? (client, served) : (served, client)
                let pattern = Pattern(seed: 21)
                let (written, _) = try pattern.sendUntilFull(on: writer)
                writer.endWriting()
                // This is the fault itself, not a wait for something: twice as long as a dead peer is given.
                usleep(UInt32((Self.promised * 2).nanoseconds / 1_000))
                #expect(relay.ends.isEmpty)
                try pattern.expect(written, on: reader)
                reader.endWriting()
                #expect(try relay.awaitEnds(1).map(\.reason) == [.finished])
            }
        }

        /// There are few pipes: whoever has stopped to read keeps none from others.
        @Test func readersThatStopKeepNoPipes() async throws {
            let splicing = SplicePolicy(maxPipes: 2, pipeBytes: 65_536, fullReads: 0)
            // Late enough for the sockets to be full before it.
            let policy = DeadPeerPolicy(firstLook: .seconds(10), interval: .milliseconds(500), patience: .seconds(30))
            try await withRelay(splicing: splicing, limits: ConnectionLimits(deadPeer: policy)) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pairs = try (0..<2).map { _ in try relay.connectedPair(to: backend) }
                let patterns = [Pattern(seed: 51), Pattern(seed: 52)]
                let written = try zip(pairs, patterns).map { try $1.sendUntilFull(on: $0.backend).0 }
                try eventually("both are stuck with a pipe") { relay.engine.statistics().openPipes == 2 }
                let promised = policy.firstLook + policy.interval
                try eventually("the pipes come back", within: promised * 3) {
                    relay.engine.statistics().openPipes == 0
                }
                for (pair, (pattern, count)) in zip(pairs, zip(patterns, written)) {
                    pair.backend.endWriting()
                    try pattern.expect(count, on: pair.client)
                    #expect(try pair.client.receive().isEmpty)
                }
            }
        }

        @Test func idleConnectionIsEndedAndABusyOneIsNot() async throws {
            let limit = Duration.seconds(2)
            try await withRelay(limits: ConnectionLimits(idle: limit)) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let opening = ContinuousClock.now
                let (busy, busyServed) = try relay.connectedPair(to: backend)
                let (idle, idleServed) = try relay.connectedPair(to: backend)
                let begin = ContinuousClock.now
                let ending = Beside {
                    let ends = (try idle.end(), try idleServed.end())
                    return (ends, ContinuousClock.now)
                }
                // One direction only: its bytes speak for the connection.
                while ContinuousClock.now - begin < limit * 3 {
                    try busy.send(".")
                    #expect(try busyServed.receiveText(1) == ".")
                    usleep(50_000)
                }
                let (ends, ended) = try ending.join()
                print("idle connection ended after \(ended - begin), limit \(limit)")
                #expect(ends == (.reset, .reset))
                #expect(ended - opening >= limit && ended - begin < limit * 3)
                #expect(try relay.awaitEnds(1).first?.reason == .idleLimit)
                #expect(try busy.end() == .reset)
                #expect(try relay.awaitEnds(2).map(\.reason) == [.idleLimit, .idleLimit])
            }
        }

        @Test func halfClosedConnectionHasALimitOfItsOwn() async throws {
            let limit = Duration.seconds(2)
            let limits = ConnectionLimits(idle: .seconds(60), halfClosed: limit)
            try await withRelay(limits: limits) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let (open, openServed) = try relay.connectedPair(to: backend)
                client.endWriting()
                #expect(try served.receive().isEmpty)
                let begin = ContinuousClock.now
                // An answer that goes on is no silence.
                while ContinuousClock.now - begin < limit * 2 {
                    try served.send(".")
                    #expect(try client.receiveText(1) == ".")
                    usleep(100_000)
                }
                #expect(relay.ends.isEmpty)
                let silent = ContinuousClock.now
                #expect(try client.end() == .reset)
                print("half-closed connection ended after \(ContinuousClock.now - silent), limit \(limit)")
                #expect(ContinuousClock.now - silent < limit * 3)
                #expect(try relay.awaitEnds(1).map(\.reason) == [.halfClosedLimit])
                try open.send("!")
                #expect(try openServed.receiveText(1) == "!")
            }
        }

        /// What the kernel shows of both of the relay's sockets: a keepalive timer of at most 15 s, from when they were last
        /// heard of. The instance's begins with the first look.
        @Test func keepaliveRunsOnBothSides() async throws {
            let limits = ConnectionLimits(
                deadPeer: DeadPeerPolicy(firstLook: .seconds(2), interval: .seconds(1), patience: .seconds(30)))
            try await withRelay(limits: limits) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try client.send("x")
                #expect(try served.receiveText(1) == "x")
                // Only the relay's side of either connection has the timer; the test's own sockets have none.
                for (port, longest) in [(relay.endpoint.port, 1_500), (backend.endpoint.port, 1_350)] {
                    try eventually("a keepalive timer on port \(port)") {
                        try self.keepaliveTimers(ofPort: port).contains { (1...longest).contains($0) }
                    }
                }
            }
        }

        private func expectDeath(of side: Side, at relay: RelayFixture, within limit: Duration) throws {
            try eventually("the connection ends", within: limit) { !relay.ends.isEmpty }
            let end = try #require(relay.ends.first)
            #expect(end.reason == (side == .client ? .clientReset : .backendReset))
            #expect(end.errorNumber == ETIMEDOUT)
        }

        /// - Returns: hundredths of a second until they fire, of connections from or to a loopback port: /proc/net/tcp,
        ///   timer 2 (proc(5)).
        private func keepaliveTimers(ofPort port: UInt16) throws -> [Int] {
            guard let file = fopen("/proc/self/net/tcp", "r") else { throw SyscallError(call: "fopen", number: errno) }
            defer { fclose(file) }
            var line = [CChar](repeating: 0, count: 512)
            var timers: [Int] = []
            let hexadecimal = String(port, radix: 16, uppercase: true)
            let suffix = ":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
            while fgets(&line, Int32(line.count), file) != nil {
                let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                let fields = text.split(separator: " ")
                guard fields.count > 5, fields[1].hasSuffix(suffix) || fields[2].hasSuffix(suffix) else { continue }
                let timer = fields[5].split(separator: ":")
                guard timer.count == 2, timer[0] == "02", let time = Int(timer[1], radix: 16) else { continue }
                timers.append(time)
            }
            return timers
        }
    }
}
