// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Drains, cuts, closes and shutdown.
    @Suite struct LeavingTests {
        private static let instance = InstanceID(slot: 0, generation: 1)

        @Test func cutInstanceLosesItsConnectionsOnly() async throws {
            try await withRelay(workers: 2) { relay in
                let (lost, kept) = (try TestBackend(), try TestBackend())
                relay.apply(lost)
                let doomed = try (0..<8).map { _ in try relay.connectedPair(to: lost) }
                relay.apply([kept.endpoint], firstSlot: 1)
                try eventually("the new instance is used") {
                    _ = try relay.connect()
                    return kept.hasClient()
                }
                let (client, served) = try relay.connectedPair(to: kept)
                relay.engine.cut([.instance(Self.instance)], reason: .instanceGone)
                for pair in doomed {
                    #expect(try pair.client.end() == .reset)
                    #expect(try pair.backend.end() == .reset)
                }
                _ = served
                try eventually("the instance is released") { relay.engine.hasReleased(Self.instance) }
                try eventually("all eight are reported") {
                    relay.ends.filter { $0.reason == .cutInstanceGone }.count == 8
                }
                client.endWriting()
            }
        }

        /// Another link may use the same instance.
        @Test func cutMemberLosesWhatCameByItsLinkOnly() async throws {
            try await withRelay(workers: 2) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pairs = try (0..<4).map { _ in try relay.connectedPair(to: backend) }
                relay.engine.cut([.member(Link.ID(7), Self.instance)], reason: .instanceGone)
                for pair in pairs {
                    try pair.client.send("x")
                    #expect(try pair.backend.receiveText(1) == "x")
                }
                relay.engine.cut([.member(relay.link.id, Self.instance)], reason: .instanceGone)
                for pair in pairs { #expect(try pair.client.end() == .reset) }
                #expect(try relay.awaitEnds(4).allSatisfy { $0.reason == .cutInstanceGone })
            }
        }

        @Test func cutInstanceThatHasNotAcceptedYetIsLeftForAnother() async throws {
            let retry = RetryPolicy(attemptTimeout: .seconds(30), total: .seconds(60))
            try await withRelay(retry: retry, policy: LinkPolicy(balance: .first)) { relay in
                let backend = try TestBackend()
                let mute = try MuteBackend()
                relay.apply([mute.endpoint, backend.endpoint])
                let client = try relay.connect()
                try eventually("the attempt") { relay.engine.openConnections(to: Self.instance) == 1 }
                relay.engine.cut([.instance(Self.instance)], reason: .instanceGone)
                #expect(backend.hasClient(within: .seconds(10)))
                try backend.accept().send("x")
                #expect(try client.receiveText(1) == "x")
            }
        }

        @Test func cutLinkLosesAllItsConnections() async throws {
            try await withRelay(workers: 2) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pairs = try (0..<8).map { _ in try relay.connectedPair(to: backend) }
                relay.engine.cut([.link(relay.link.id)], reason: .requested)
                for pair in pairs { #expect(try pair.client.end() == .reset) }
                #expect(try relay.awaitEnds(8).allSatisfy { $0.reason == .cutRequested })
                _ = try relay.connectedPair(to: backend)
            }
        }

        @Test func drainedLinkStopsAcceptingAndReportsItsLastEnd() async throws {
            try await withRelay(workers: 2) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                relay.engine.drain(.link(relay.link.id), until: nil)
                try client.send("goes on")
                #expect(try served.receiveText(7) == "goes on")
                let late = try relay.connect()
                try client.send("!")
                #expect(try served.receiveText(1) == "!")
                #expect(!backend.hasClient(within: .milliseconds(100)))
                #expect(!relay.events().contains(.linkDrained(relay.link.id)))
                client.close()
                served.close()
                try eventually("the link is drained") { relay.events().contains(.linkDrained(relay.link.id)) }
                late.close()
            }
        }

        @Test func drainingLinkWithoutConnectionsIsReportedOnce() async throws {
            try await withRelay(workers: 2) { relay in
                relay.engine.drain(.link(relay.link.id), until: nil)
                relay.engine.drain(.link(relay.link.id), until: nil)
                try eventually("the link is drained") { relay.events().contains(.linkDrained(relay.link.id)) }
                _ = relay.engine.close(relay.link.id)
                #expect(relay.events() == [.linkDrained(relay.link.id)])
            }
        }

        @Test func drainDeadlineResetsTheRest() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pair = try relay.connectedPair(to: backend)
                let begin = ContinuousClock.now
                relay.engine.drain(.instance(Self.instance), until: begin + .milliseconds(200))
                #expect(try pair.client.end() == .reset)
                #expect(ContinuousClock.now - begin >= .milliseconds(200))
                #expect(try relay.awaitEnds(1).map(\.reason) == [.drainDeadline])
                // The instance stays in the snapshot, so it is still picked.
                _ = try relay.connectedPair(to: backend)
            }
        }

        @Test func aDeadlineThatIsTakenBackResetsNobody() async throws {
            try await withRelay { relay in
                let (back, gone) = (try TestBackend(), try TestBackend())
                relay.apply([back.endpoint])
                let kept = try relay.connectedPair(to: back)
                relay.apply([gone.endpoint], firstSlot: 1)
                let lost = try relay.connectedPair(to: gone)
                let deadline = ContinuousClock.now + .seconds(3)
                relay.engine.drain(.instance(Self.instance), until: deadline)
                relay.engine.drain(.instance(InstanceID(slot: 1, generation: 1)), until: deadline)
                relay.engine.drain(.instance(Self.instance), until: nil)
                #expect(try lost.client.end() == .reset)
                try kept.client.send("goes on")
                #expect(try kept.backend.receiveText(7) == "goes on")
            }
        }

        @Test func closedLinkGivesItsListenersBackAndKeepsItsConnections() async throws {
            try await withRelay(workers: 2) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let listeners = relay.engine.close(relay.link.id)
                #expect(listeners.count == 2)
                let late = try relay.connect()
                try client.send("x")
                #expect(try served.receiveText(1) == "x")
                #expect(!backend.hasClient(within: .milliseconds(100)))
                relay.engine.open(relay.link, listeners: listeners, policy: LinkPolicy())
                let lateServed = try backend.accept()
                try lateServed.send("late")
                #expect(try late.receiveText(4) == "late")
                let again = relay.engine.close(relay.link.id)
                _ = consume again
                #expect(throws: SyscallError.self) { try relay.connect() }
                #expect(relay.engine.close(relay.link.id).count == 0)
            }
        }

        @Test func linkClosedBeforeTheStartIsNeverAcceptedFrom() async throws {
            let engine = try RelayEngine(configuration: RelayConfiguration(workers: 2))
            let link = Link(id: Link.ID(0), name: "early")
            let sockets = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 2)
            let numbers = sockets.numbers
            engine.open(link, listeners: sockets, policy: LinkPolicy())
            let returned = engine.close(link.id)
            #expect(returned.numbers == numbers)
            async let running: Void = engine.run()
            try await onThread {
                let client = try TestSocket(connectedTo: try ListeningSockets.boundEndpoint(of: numbers[0]))
                // Returns when every worker has carried out what was posted before.
                _ = engine.close(link.id)
                #expect(engine.statistics().links.first?.accepted == 0)
                client.close()
            }
            engine.shutdown(deadline: .now)
            try await running
        }

        @Test func shutdownLetsConnectionsEndUntilItsDeadline() async throws {
            let fixture = try RelayFixture(RelayConfiguration(workers: 2))
            async let running: Void = fixture.engine.run()
            let begin = ContinuousClock.now
            try await onThread {
                let backend = try TestBackend()
                fixture.apply(backend)
                let (quick, quickServed) = try fixture.connectedPair(to: backend)
                let (slow, slowServed) = try fixture.connectedPair(to: backend)
                fixture.engine.shutdown(deadline: .now + .seconds(60))
                try eventually("nobody is accepted any more") {
                    do {
                        try fixture.connect().close()
                        return false
                    } catch let error as SyscallError { return error.number == ECONNREFUSED }
                }
                try quick.send("last words")
                #expect(try quickServed.receiveText(10) == "last words")
                quick.close()
                quickServed.close()
                try eventually("the quick one has ended") { fixture.ends.contains { $0.reason == .finished } }
                // An earlier deadline wins, a later one does not.
                fixture.engine.shutdown(deadline: .now + .milliseconds(200))
                fixture.engine.shutdown(deadline: .now + .seconds(60))
                #expect(try slow.end() == .reset)
                #expect(try slowServed.end() == .reset)
            }
            try await running
            #expect(ContinuousClock.now - begin < .seconds(10))
            #expect(fixture.ends.contains { $0.reason == .shutdownDeadline })
        }

        @Test func clientsInTheBacklogAreServedAtShutdown() async throws {
            let engine = try RelayEngine(configuration: RelayConfiguration(workers: 1))
            let link = Link(id: Link.ID(0), name: "backlog")
            let sockets = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 1)
            let endpoint = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
            let backend = try TestBackend()
            let instance = Instance(id: Self.instance, endpoint: backend.endpoint)
            engine.apply(EndpointSnapshot(sequence: 1, instances: [instance]), to: link.id)
            engine.open(link, listeners: sockets, policy: LinkPolicy())
            let client = try TestSocket(connectedTo: endpoint)
            engine.shutdown(deadline: .now + .seconds(30))
            async let running: Void = engine.run()
            try await onThread {
                let served = try backend.accept()
                try served.send("served")
                served.close()
                #expect(try client.receiveText(6) == "served")
                client.close()
            }
            try await running
        }

        @Test func cancelledRunEndsAtOnce() async throws {
            let fixture = try RelayFixture(RelayConfiguration(workers: 2))
            let backend = try TestBackend()
            fixture.apply(backend)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await fixture.engine.run() }
                let pair = try await onThread { try fixture.connectedPair(to: backend) }
                group.cancelAll()
                let ends = try await onThread { [try pair.client.end(), try pair.backend.end()] }
                #expect(ends == [.reset, .reset])
            }
            #expect(fixture.engine.statistics().openConnections == 0)
        }
    }
}
