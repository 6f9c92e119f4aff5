// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    @Suite struct ResetTests {
        @Test func clientsResetReachesTheBackend() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try client.send("x")
                #expect(try served.receiveText(1) == "x")
                client.reset()
                #expect(try served.end() == .reset)
                let end = try #require(try relay.awaitEnds(1).first)
                #expect(end.reason == .clientReset)
                #expect(end.errorNumber == ECONNRESET)
            }
        }

        @Test func backendsResetReachesTheClient() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try client.send("x")
                #expect(try served.receiveText(1) == "x")
                served.reset()
                #expect(try client.end() == .reset)
                #expect(try relay.awaitEnds(1).map(\.reason) == [.backendReset])
            }
        }

        @Test func resetRightAfterAcceptIsNotRetried() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                for _ in 0..<100 {
                    let client = try relay.connect()
                    try backend.accept().reset()
                    #expect(try client.end() == .reset)
                }
                #expect(try relay.awaitEnds(100).allSatisfy { $0.reason == .backendReset })
                #expect(relay.connectFailures.isEmpty)
            }
        }

        @Test(arguments: [1, 4_096, 300_000])
        func bytesSentBeforeTheBackendsResetAreDelivered(length: Int) async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pattern = Pattern(seed: 5)
                for _ in 0..<20 {
                    let (client, served) = try relay.connectedPair(to: backend)
                    try pattern.sendPart(from: 0, count: length, on: served)
                    try self.waitUntilTaken(served)
                    served.reset()
                    let (count, end) = try pattern.receiveUntilEnd(of: client)
                    #expect(count == length)
                    #expect(end == .reset)
                }
            }
        }

        @Test(arguments: [1, 4_096, 300_000])
        func bytesSentBeforeTheClientsResetAreDelivered(length: Int) async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pattern = Pattern(seed: 6)
                for _ in 0..<20 {
                    let (client, served) = try relay.connectedPair(to: backend)
                    try pattern.sendPart(from: 0, count: length, on: client)
                    try self.waitUntilTaken(client)
                    client.reset()
                    let (count, end) = try pattern.receiveUntilEnd(of: served)
                    #expect(count == length)
                    #expect(end == .reset)
                }
            }
        }

        /// The relay has read more than the client's sockets take when the reset comes, and must not lose it.
        @Test func bytesReadBeforeAResetAreDeliveredToASlowReader() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let pattern = Pattern(seed: 7)
                served.setBlocking(false)
                var sent = 0
                // Until nothing more goes in anywhere: the relay then holds a full buffer of it.
                do {
                    while true {
                        try pattern.sendPart(from: sent, count: 1_000, on: served)
                        sent += 1_000
                    }
                } catch let error as SyscallError where error.number == EAGAIN {}
                let taken = try #require(
                    try self.settled { sent - 1_000 - StreamSocket.unacknowledgedBytes(served.descriptor) }
                )
                served.reset()
                let (count, end) = try pattern.receiveUntilEnd(of: client)
                #expect(count >= taken)
                #expect(end == .reset)
                #expect(try relay.awaitEnds(1).map(\.reason) == [.backendReset])
            }
        }

        @Test func resetByBothSidesEndsTheConnection() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                for _ in 0..<50 {
                    let (client, served) = try relay.connectedPair(to: backend)
                    client.reset()
                    served.reset()
                }
                let ends = try relay.awaitEnds(50)
                #expect(ends.allSatisfy { [.clientReset, .clientGone, .backendReset].contains($0.reason) })
            }
        }

        /// Both halves' events come in one turn: the second is about a connection that the first has ended, and by then
        /// its slot and its descriptors may be another's.
        @Test func eventsOfASocketThatIsGoneAreDropped() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                try eventually("a stale event", within: .seconds(20)) {
                    let pairs = try (0..<50).map { _ in try relay.connectedPair(to: backend) }
                    for pair in pairs {
                        pair.client.reset()
                        pair.backend.reset()
                    }
                    let (client, served) = try relay.connectedPair(to: backend)
                    try client.send("intact")
                    guard try served.receiveText(6) == "intact" else { throw TestFailure("another's bytes") }
                    return relay.engine.statistics().staleEvents > 0
                }
            }
        }

        @Test func answerToAClientThatIsGoneResetsTheBackend() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                client.close()
                #expect(try served.receive().isEmpty)
                try served.send("too late")
                // After FIN the kernel tells of a reset by EPIPE in SO_ERROR only; reading goes on to say 0.
                try eventually("the backend is reset") { Syscall.takeError(of: served.descriptor) == EPIPE }
                #expect(try relay.awaitEnds(1).map(\.reason) == [.clientReset])
            }
        }

        /// Until the relay's kernel has all of it: what is still under way is lost by the sender's own reset.
        private func waitUntilTaken(_ socket: TestSocket) throws {
            try eventually("sent bytes are acknowledged") { StreamSocket.unacknowledgedBytes(socket.descriptor) == 0 }
        }

        /// The value once it has been the same for 100 looks.
        private func settled(_ value: () -> Int) throws -> Int? {
            var (last, equal) = (value(), 0)
            try eventually("settled") {
                let current = value()
                equal = current == last ? equal + 1 : 0
                last = current
                return equal == 100
            }
            return last
        }
    }
}
