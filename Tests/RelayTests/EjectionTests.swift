// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Instances that fail, on real sockets.
    @Suite struct EjectionTests {
        /// Short enough to see an instance come back, at once with all of its share.
        private static let brief = EjectionPolicy(base: .milliseconds(400), slowStart: .zero)
        /// Longer than any test: whoever is out stays out.
        private static let long = EjectionPolicy(base: .seconds(60))
        private static let quick = RetryPolicy(attemptTimeout: .milliseconds(100))

        private func serve(_ relay: RelayFixture, by backend: TestBackend) throws {
            let (client, served) = try relay.connectedPair(to: backend)
            try served.send("1")
            #expect(try client.receiveText(1) == "1")
        }

        /// Connects again and again until so many instances are out, and waits until all clients are with the others: one
        /// that is still on its way would show up where nobody expects it.
        private func connect(_ relay: RelayFixture, until ejections: Int, with good: [InstanceID]) throws {
            var clients: UInt64 = 0
            try eventually("\(ejections) are out") {
                _ = try relay.connect()
                clients += 1
                return relay.ejections.count >= ejections
            }
            try eventually("all clients are with the others") {
                let placed = good.map { relay.engine.openConnections(to: $0) }.reduce(0, +)
                return relay.totals.accepted == clients && relay.engine.statistics().openConnections == placed
            }
        }

        @Test func oneThatRefusesIsLeftAloneAfterThreeTimesAndComesBack() async throws {
            try await withRelay(ejection: Self.brief) { relay in
                let good = try TestBackend()
                let bad = try TestBackend.deadEndpoint()
                relay.apply([bad, good.endpoint])
                let begun = ContinuousClock.now
                for _ in 0..<20 { try serve(relay, by: good) }
                let ejection = try #require(relay.ejections.first)
                #expect(ejection.instance.slot == 0 && ejection.errorNumber == ECONNREFUSED)
                #expect(ejection.duration == .milliseconds(400))
                // On a slow machine it may have come back, and gone again.
                let times = 1 + Int(begun.duration(to: .now) / .milliseconds(400))
                #expect(relay.connectFailures.count <= 3 * times && relay.totals.ejections <= UInt64(times))
                let back = try TestBackend(at: bad)
                try eventually("it is used again") {
                    let client = try relay.connect()
                    return withExtendedLifetime(client) { back.hasClient(within: .milliseconds(50)) }
                }
                #expect(relay.returns.first == 0)
            }
        }

        /// For a test that may be slow to end what it has accepted.
        private static let patient = EjectionPolicy(hastyEnd: .seconds(5))

        /// As Docker's userland proxy does for a container in which nobody listens.
        @Test func oneThatAcceptsAndEndsAtOnceIsLeftAlone() async throws {
            try await withRelay(ejection: Self.patient, policy: LinkPolicy(balance: .first)) { relay in
                let (hollow, good) = (try TestBackend(), try TestBackend())
                relay.apply(hollow, good)
                for number in 0..<3 {
                    let (client, served) = try relay.connectedPair(to: hollow)
                    number == 1 ? served.reset() : served.close()
                    #expect(try client.end() == (number == 1 ? .reset : .finished))
                }
                try eventually("it is taken out") { relay.ejections.map(\.errorNumber) == [0] }
                for _ in 0..<5 { try serve(relay, by: good) }
                #expect(!hollow.hasClient())
            }
        }

        /// Whoever wants to know whether a port accepts connects and ends: the instance then ends because of that.
        @Test func whoAsksWhetherSomebodyAcceptsBlamesNobody() async throws {
            try await withRelay(policy: LinkPolicy(balance: .first)) { relay in
                let (instance, other) = (try TestBackend(), try TestBackend())
                relay.apply(instance, other)
                for number in 0..<10 {
                    let (client, served) = try relay.connectedPair(to: instance)
                    number % 2 == 0 ? client.close() : client.reset()
                    #expect(try served.end() == (number % 2 == 0 ? .finished : .reset))
                    served.close()
                    _ = try relay.awaitEnds(number + 1)
                }
                #expect(relay.ejections.isEmpty && !other.hasClient())
            }
        }

        @Test func oneThatSpeaksBeforeItEndsIsWell() async throws {
            try await withRelay(policy: LinkPolicy(balance: .first)) { relay in
                let (instance, other) = (try TestBackend(), try TestBackend())
                relay.apply(instance, other)
                for _ in 0..<10 {
                    let (client, served) = try relay.connectedPair(to: instance)
                    try served.send("bye")
                    served.close()
                    #expect(try client.receiveAll().bytes == Array("bye".utf8))
                }
                #expect(relay.ejections.isEmpty && !other.hasClient())
            }
        }

        /// A connection that works does not make up for those that were ended at once, until it has shown something.
        @Test func acceptingAloneClearsNothing() async throws {
            try await withRelay(ejection: Self.patient, policy: LinkPolicy(balance: .first)) { relay in
                let (hollow, good) = (try TestBackend(), try TestBackend())
                relay.apply(hollow, good)
                let silent = try relay.connectedPair(to: hollow)
                for _ in 0..<3 {
                    let (client, served) = try relay.connectedPair(to: hollow)
                    served.close()
                    #expect(try client.end() == .finished)
                }
                try eventually("it is taken out") { relay.ejections.count == 1 }
                try silent.backend.send("late")
                #expect(try silent.client.receiveText(4) == "late")
            }
        }

        @Test func oneThatAnswersNoSYNCostsThreeAttempts() async throws {
            try await withRelay(retry: Self.quick, ejection: Self.long) { relay in
                let (mute, good) = (try MuteBackend(), try TestBackend())
                relay.apply([mute.endpoint, good.endpoint])
                for _ in 0..<12 { try serve(relay, by: good) }
                #expect(relay.connectFailures.count == 3 && relay.ejections.map(\.errorNumber) == [ETIMEDOUT])
            }
        }

        /// Whatever happens, half of a service is used; and who waits long enough is tried with the others, too.
        @Test func halfOfAServiceStaysInUse() async throws {
            try await withRelay(ejection: Self.long) { relay in
                let good = try TestBackend()
                let bad = try (0..<3).map { _ in try TestBackend.deadEndpoint() }
                relay.apply(bad + [good.endpoint])
                for _ in 0..<30 { try serve(relay, by: good) }
                #expect(relay.ejections.count == 2)
                #expect(relay.totals.refusedUnreachable == 0)
            }
        }

        @Test func theOnlyInstanceIsNeverTakenOut() async throws {
            let impatient = RetryPolicy(roundPause: .milliseconds(10), total: .milliseconds(50))
            try await withRelay(retry: impatient) { relay in
                relay.apply([try TestBackend.deadEndpoint()])
                for _ in 0..<5 { #expect(try relay.endOfANewConnection() == .reset) }
                #expect(relay.ejections.isEmpty)
            }
        }

        /// The good ones leave: those that are left are used, whatever was thought of them.
        @Test func whenTheOthersLeaveThoseThatAreOutAreUsed() async throws {
            // Without a second round, in which they would be tried in any case.
            let hasty = RetryPolicy(roundPause: .seconds(4), total: .seconds(2))
            try await withRelay(retry: hasty, ejection: EjectionPolicy(slowStart: .zero)) { relay in
                let backends = try (0..<4).map { _ in try TestBackend() }
                let bad = try (0..<2).map { _ in try TestBackend.deadEndpoint() }
                relay.apply(bad + backends.prefix(2).map(\.endpoint))
                try connect(
                    relay, until: 2, with: [InstanceID(slot: 2, generation: 1), InstanceID(slot: 3, generation: 1)])
                let back = try bad.map { try TestBackend(at: $0) }
                relay.apply(bad)
                // For five seconds they would be passed over.
                for backend in back { #expect(!backend.hasClient()) }
                let clients = try (0..<4).map { _ in try relay.connect() }
                try eventually("both are used at once") { back.allSatisfy { $0.hasClient() } }
                #expect(clients.count == 4)
            }
        }

        /// A whole round of the others was in vain: it may be well again.
        @Test func oneThatIsOutIsTriedWhenTheOthersFail() async throws {
            try await withRelay { relay in
                let good = try TestBackend()
                let bad = try TestBackend.deadEndpoint()
                relay.apply([bad, good.endpoint])
                try connect(relay, until: 1, with: [InstanceID(slot: 1, generation: 1)])
                let back = try TestBackend(at: bad)
                good.close()
                try serve(relay, by: back)
                #expect(relay.ejections.count == 1, "it is out for five seconds")
            }
        }

        @Test func theShareOfOneThatIsBackGrows() async throws {
            let slow = EjectionPolicy(base: .milliseconds(1), slowStart: .seconds(600))
            try await withRelay(ejection: slow) { relay in
                let good = try TestBackend()
                let bad = try TestBackend.deadEndpoint()
                relay.apply([bad, good.endpoint])
                try connect(relay, until: 1, with: [InstanceID(slot: 1, generation: 1)])
                while good.hasClient() { _ = try good.accept() }
                let back = try TestBackend(at: bad)
                var served = 0
                for _ in 0..<400 {
                    let client = try relay.connect()
                    try eventually("somebody is given it") { back.hasClient() || good.hasClient() }
                    let isBack = back.hasClient()
                    served += isBack ? 1 : 0
                    // Ended by the client, or it would be a failure of the instance.
                    let other = try isBack ? back.accept() : good.accept()
                    client.close()
                    #expect(try other.end() == .finished)
                }
                // A tenth of its half of them: 20 of 400.
                #expect((4...50).contains(served), "\(served) of 400")
            }
        }
    }
}
