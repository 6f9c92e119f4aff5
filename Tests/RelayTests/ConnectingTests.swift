// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    @Suite struct ConnectingTests {
        /// Short, so that giving up can be waited for.
        private static let impatient = RetryPolicy(
            attemptTimeout: .milliseconds(100), roundPause: .milliseconds(40), total: .milliseconds(400)
        )

        @Test func roundRobinGivesEachInstanceItsShare() async throws {
            try await withRelay { relay in
                let backends = try (0..<3).map { _ in try TestBackend() }
                relay.apply(backends.map(\.endpoint))
                let clients = try (0..<30).map { _ in try relay.connect() }
                try eventually("all are connected") { relay.engine.statistics().openConnections == 30 }
                for slot in 0..<3 {
                    let id = InstanceID(slot: UInt32(slot), generation: 1)
                    try eventually("a third of the clients") { relay.engine.openConnections(to: id) == 10 }
                }
                #expect(clients.count == 30)
            }
        }

        @Test func workersBeginAtDifferentInstances() async throws {
            try await withRelay(workers: 2) { relay in
                let backends = try (0..<2).map { _ in try TestBackend() }
                relay.apply(backends.map(\.endpoint))
                var clients: [TestSocket] = []
                try eventually("both instances have a connection") {
                    clients.append(try relay.connect())
                    return backends.allSatisfy { $0.hasClient() }
                }
            }
        }

        @Test func firstIsUsedUntilItFails() async throws {
            try await withRelay(policy: LinkPolicy(balance: .first)) { relay in
                let (first, second) = (try TestBackend(), try TestBackend())
                relay.apply(first, second)
                for _ in 0..<5 {
                    let (client, served) = try relay.connectedPair(to: first)
                    try served.send("1")
                    #expect(try client.receiveText(1) == "1")
                }
                #expect(!second.hasClient())
                first.close()
                let (client, served) = try relay.connectedPair(to: second)
                try served.send("2")
                #expect(try client.receiveText(1) == "2")
            }
        }

        @Test func refusedConnectGoesToAnotherInstance() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                let dead = [try TestBackend.deadEndpoint(), try TestBackend.deadEndpoint()]
                relay.apply(dead + [backend.endpoint])
                for _ in 0..<20 {
                    let client = try relay.connect()
                    try client.send("request")
                    let served = try backend.accept()
                    #expect(try served.receiveText(7) == "request")
                }
                let failures = relay.connectFailures
                #expect(!failures.isEmpty)
                #expect(failures.allSatisfy { $0.errorNumber == ECONNREFUSED && $0.instance.slot < 2 })
                #expect(relay.totals.failedConnects == UInt64(failures.count))
                #expect(relay.totals.refusedUnreachable == 0)
            }
        }

        @Test func clientIsServedWhenAnInstanceComesBackWithinTheTime() async throws {
            try await withRelay { relay in
                let endpoint = try TestBackend.deadEndpoint()
                relay.apply([endpoint])
                let client = try relay.connect()
                try client.send("patience")
                try eventually("a second of refusals") {
                    relay.connectFailures.count >= 4 && relay.totals.openConnections == 1
                }
                let backend = try TestBackend(at: endpoint)
                let served = try backend.accept()
                #expect(try served.receiveText(8) == "patience")
                try served.send("rewarded")
                #expect(try client.receiveText(8) == "rewarded")
            }
        }

        @Test func clientIsResetWhenNoInstanceAcceptsInTime() async throws {
            try await withRelay { relay in
                relay.apply([try TestBackend.deadEndpoint(), try TestBackend.deadEndpoint()])
                let begin = ContinuousClock.now
                let client = try relay.connect()
                #expect(try client.end() == .reset)
                let waited = ContinuousClock.now - begin
                #expect(waited > .seconds(4.5) && waited < .seconds(15))
                let end = try #require(try relay.awaitEnds(1).first)
                #expect(end.reason == .connectFailed)
                #expect(end.errorNumber == ECONNREFUSED)
                #expect(end.instance == nil)
                #expect(relay.totals.refusedUnreachable == 1)
                // Both, in some 25 rounds: 5 s by 150 to 250 ms.
                #expect((10...68).contains(relay.connectFailures.count))
            }
        }

        @Test func instanceThatDoesNotAnswerIsLeftAfterTheAttemptsTime() async throws {
            let retry = RetryPolicy(attemptTimeout: .milliseconds(100))
            try await withRelay(retry: retry, policy: LinkPolicy(balance: .first)) { relay in
                let (mute, backend) = (try MuteBackend(), try TestBackend())
                relay.apply([mute.endpoint, backend.endpoint])
                let begin = ContinuousClock.now
                let (client, served) = try relay.connectedPair(to: backend)
                let waited = ContinuousClock.now - begin
                #expect(waited >= .milliseconds(100) && waited < .seconds(2))
                try served.send("x")
                #expect(try client.receiveText(1) == "x")
                #expect(relay.connectFailures.map(\.errorNumber) == [ETIMEDOUT])
            }
        }

        @Test func noInstanceResetsTheClientAtOnce() async throws {
            try await withRelay { relay in
                relay.apply([])
                for _ in 0..<5 {
                    let begin = ContinuousClock.now
                    let end = try relay.endOfANewConnection()
                    #expect(end == .reset)
                    #expect(ContinuousClock.now - begin < .seconds(4), "who waits for an instance has 5 s")
                }
                #expect(try relay.awaitEnds(5).allSatisfy { $0.reason == .noInstance && $0.instance == nil })
                #expect(relay.totals.refusedNoInstance == 5)
                #expect(relay.connectFailures.isEmpty)
            }
        }

        @Test func instanceOfWeightZeroTakesNothing() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                let instance = Instance(
                    id: InstanceID(slot: 0, generation: 1), endpoint: backend.endpoint, weight: 0
                )
                relay.engine.apply(EndpointSnapshot(sequence: 1, instances: [instance]), to: relay.link.id)
                #expect(try relay.endOfANewConnection() == .reset)
                #expect(!backend.hasClient())
            }
        }

        @Test func clientThatLeavesWhileWaitingIsDropped() async throws {
            try await withRelay { relay in
                relay.apply([try TestBackend.deadEndpoint()])
                let client = try relay.connect()
                try eventually("a failed attempt") { !relay.connectFailures.isEmpty }
                let begin = ContinuousClock.now
                client.reset()
                #expect(try relay.awaitEnds(1).map(\.reason) == [.clientGone])
                #expect(ContinuousClock.now - begin < .seconds(2))
            }
        }

        @Test func halfClosedClientIsStillTried() async throws {
            try await withRelay { relay in
                let endpoint = try TestBackend.deadEndpoint()
                relay.apply([endpoint])
                let client = try relay.connect()
                try client.send("question")
                client.endWriting()
                try eventually("a failed attempt") { !relay.connectFailures.isEmpty }
                let served = try TestBackend(at: endpoint).accept()
                #expect(try served.receiveAll().bytes == Array("question".utf8))
                try served.send("answer")
                served.close()
                #expect(try client.receiveAll().bytes == Array("answer".utf8))
            }
        }

        @Test func snapshotChangeLeavesLiveConnectionsAlone() async throws {
            try await withRelay { relay in
                let (old, new) = (try TestBackend(), try TestBackend())
                relay.apply(old)
                let (client, served) = try relay.connectedPair(to: old)
                relay.apply([new.endpoint], firstSlot: 1)
                let id = InstanceID(slot: 0, generation: 1)
                for _ in 0..<5 { _ = try relay.connectedPair(to: new) }
                #expect(!relay.engine.hasReleased(id))
                try client.send("still here")
                #expect(try served.receiveText(10) == "still here")
                client.close()
                served.close()
                try eventually("the old instance is released") { relay.engine.hasReleased(id) }
                #expect(!relay.engine.hasReleased(InstanceID(slot: 1, generation: 1)))
            }
        }

        @Test func clientsAfterASnapshotNeverGetWhatItLacks() async throws {
            try await withRelay(workers: 2) { relay in
                let backends = [try TestBackend(), try TestBackend()]
                for round in 0..<300 {
                    let (present, absent) = (backends[round % 2], backends[(round + 1) % 2])
                    relay.apply([present.endpoint], firstSlot: UInt32(round))
                    let (client, served) = try relay.connectedPair(to: present)
                    try served.send("x")
                    #expect(try client.receiveText(1) == "x")
                    #expect(!absent.hasClient())
                }
                try eventually("all former instances are released") {
                    (0..<299).allSatisfy { relay.engine.hasReleased(InstanceID(slot: $0, generation: 1)) }
                }
            }
        }

        @Test func snapshotThatIsNotNewerIsIgnored() async throws {
            try await withRelay { relay in
                let (newer, older) = (try TestBackend(), try TestBackend())
                let make = { (slot: UInt32, backend: TestBackend) in
                    [Instance(id: InstanceID(slot: slot, generation: 1), endpoint: backend.endpoint)]
                }
                relay.engine.apply(EndpointSnapshot(sequence: 5, instances: make(0, newer)), to: relay.link.id)
                relay.engine.apply(EndpointSnapshot(sequence: 4, instances: make(1, older)), to: relay.link.id)
                relay.engine.apply(EndpointSnapshot(sequence: 5, instances: make(1, older)), to: relay.link.id)
                for _ in 0..<3 { _ = try relay.connectedPair(to: newer) }
                #expect(!older.hasClient())
            }
        }

        @Test func waitingClientUsesANewSnapshot() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply([try TestBackend.deadEndpoint()])
                let client = try relay.connect()
                try eventually("a failed attempt") { !relay.connectFailures.isEmpty }
                relay.apply([backend.endpoint], firstSlot: 1)
                try backend.accept().send("new")
                #expect(try client.receiveText(3) == "new")
            }
        }

        @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
        func socketThatMeetsItselfIsRecognised(address: IPAddress) throws {
            let backend = try TestBackend(at: Endpoint(address, port: 0))
            let target = SocketAddress(backend.endpoint)
            let other = try TestSocket(connectedTo: backend.endpoint)
            #expect(!StreamSocket.isConnectedToItself(other.descriptor, calling: target))
            let free = SocketAddress(try TestBackend.deadEndpoint(on: address))
            let socket = OwnedDescriptor(adopting: Int32(StreamSocket.make(family: free.family)))
            #expect(free.read { bind(socket.number, $0, $1) } == 0)
            // Both ends are this socket, so the connect has succeeded by itself.
            let result = StreamSocket.connect(socket.number, to: free)
            #expect(result == 0 || result == -Int(EINPROGRESS))
            #expect(StreamSocket.isConnected(socket.number))
            #expect(StreamSocket.isConnectedToItself(socket.number, calling: free))
        }

        @Test func missingRouteIsAFailureLikeAnyOther() async throws {
            try await withRelay(retry: Self.impatient, policy: LinkPolicy(balance: .first)) { relay in
                let backend = try TestBackend()
                // Port 0 cannot be connected to: the kernel says so at once, without EINPROGRESS.
                relay.apply([Endpoint(.loopbackV4, port: 0), backend.endpoint])
                let (client, served) = try relay.connectedPair(to: backend)
                try served.send("x")
                #expect(try client.receiveText(1) == "x")
                #expect(relay.connectFailures.count == 1)
            }
        }
    }
}
