// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Connections, descriptors and records come to an end; the relay does not.
    @Suite struct LimitTests {
        @Test func acceptingPausesAtTheConnectionLimitAndResumes() async throws {
            try await withRelay(workers: 2, maxConnections: 4) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let clients = try (0..<10).map { _ in try relay.connect() }
                var served = try (0..<4).map { _ in try backend.accept() }
                try eventually("a pause") { relay.events().contains(.acceptPaused(errorNumber: 0)) }
                #expect(!backend.hasClient(within: .milliseconds(300)))
                // Who was refused had a place for a moment.
                try eventually("no more than four") { relay.engine.statistics().openConnections == 4 }
                // Each end makes room for one of those who wait.
                for _ in 0..<6 {
                    served.removeFirst().reset()
                    #expect(backend.hasClient(within: .seconds(10)))
                    served.append(try backend.accept())
                }
                for socket in served { socket.reset() }
                #expect(try relay.awaitEnds(10).count == 10)
                try eventually("accepting again") { relay.events().contains(.acceptResumed) }
                _ = try relay.connectedPair(to: backend)
                for client in clients { #expect(try client.end() == .reset) }
                #expect(relay.engine.statistics().acceptPauses >= 1)
            }
        }

        @Test func whoFindsAllInstancesFullWaitsForAPlace() async throws {
            let policy = LinkPolicy(balance: .leastConnections, connectionsPerInstance: 2)
            try await withRelay(workers: 2, retry: RetryPolicy(total: .seconds(30)), policy: policy) { relay in
                let (one, other) = (try TestBackend(), try TestBackend())
                relay.apply(one, other)
                let clients = try (0..<5).map { _ in try relay.connect() }
                var served = try (0..<2).map { _ in try one.accept() }
                let others = try (0..<2).map { _ in try other.accept() }
                #expect(!one.hasClient(within: .milliseconds(300)) && !other.hasClient())
                // Looked at again every 250 ms at the latest.
                served.removeFirst().reset()
                #expect(one.hasClient(within: .seconds(10)))
                #expect(!other.hasClient())
                withExtendedLifetime((clients, others)) {}
            }
        }

        @Test func whoFindsNoPlaceInTimeIsResetAndNoInstanceIsBlamed() async throws {
            let retry = RetryPolicy(total: .milliseconds(400))
            let policy = LinkPolicy(connectionsPerInstance: 1)
            try await withRelay(retry: retry, policy: policy) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                #expect(try relay.endOfANewConnection() == .reset)
                #expect(try relay.awaitEnds(1).map(\.reason) == [.noRoom])
                #expect(relay.totals.refusedUnreachable == 1)
                #expect(relay.connectFailures.isEmpty && relay.ejections.isEmpty)
                try served.send("1")
                #expect(try client.receiveText(1) == "1")
            }
        }

        @Test func acceptingPausesWithoutDescriptorsAndResumes() async throws {
            let backend = try TestBackend()
            try await withRelay { relay in
                relay.apply(backend)
                let clients = try (0..<20).map { _ in
                    // Stay in the backlog until the limit is in force.
                    try self.unstarted()
                }
                let used = Set(try openDescriptors())
                var before = rlimit()
                let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
                getrlimit(resource, &before)
                var lowered = before
                // Room for five connections and a half: numbers are given out from the lowest.
                lowered.rlim_cur = rlim_t((0...).lazy.filter { !used.contains(Int32($0)) }.prefix(12).max() ?? 0)
                setrlimit(resource, &lowered)
                defer { setrlimit(resource, &before) }
                let address = SocketAddress(relay.endpoint)
                for client in clients {
                    #expect(address.read { Glibc.connect(client.descriptor, $0, $1) } == 0)
                }
                try eventually("a pause") { relay.events().contains(.acceptPaused(errorNumber: EMFILE)) }
                #expect(relay.engine.statistics().openConnections < 20)
                setrlimit(resource, &before)
                let begin = ContinuousClock.now
                for _ in 0..<20 { try backend.accept().send("x") }
                for client in clients { #expect(try client.receiveText(1) == "x") }
                #expect(ContinuousClock.now - begin < .seconds(5))
                try eventually("accepting again") { relay.events().contains(.acceptResumed) }
                #expect(relay.totals.failedConnects == 0)
            }
        }

        /// Here, since it is the whole process's limit, which a test before lowers.
        @Test func softLimitIsRaisedToTheHardOne() throws {
            let raised = try DescriptorLimit.raise()
            #expect(raised >= 1_024)
            #expect(try DescriptorLimit.raise() == raised)
        }

        @Test func recordsThatNobodyTakesAreCountedNotWaitedFor() async throws {
            try await withRelay(eventCapacity: 4) { relay in
                relay.apply([])
                for _ in 0..<20 { #expect(try relay.endOfANewConnection() == .reset) }
                try eventually("all have ended") { relay.engine.statistics().openConnections == 0 }
                #expect(relay.engine.statistics().droppedEvents == 16)
                #expect(relay.ends.count == 4)
            }
        }

        @Test func eventsMakeTheirDescriptorReadable() async throws {
            try await withRelay { relay in
                relay.apply([])
                let isReadable = { (milliseconds: Int32) in
                    var waiting = pollfd(fd: relay.engine.events.descriptor, events: Int16(POLLIN), revents: 0)
                    return poll(&waiting, 1, milliseconds) == 1
                }
                #expect(!isReadable(0))
                for _ in 0..<3 {
                    let end = try relay.endOfANewConnection()
                    #expect(end == .reset)
                    #expect(isReadable(5_000))
                    #expect(!relay.events().isEmpty)
                    #expect(!isReadable(0))
                }
            }
        }

        @Test func descriptorsAreGivenBackWhateverTheEnd() async throws {
            let before = try await settledDescriptors()
            let backend = try TestBackend()
            try await withRelay(workers: 2) { relay in
                relay.apply([try TestBackend.deadEndpoint(), backend.endpoint])
                for round in 0..<60 {
                    let (client, served) = try relay.connectedPair(to: backend)
                    switch round % 4 {
                    case 0: client.reset()
                    case 1: served.reset()
                    case 2: client.close()
                    default: served.close()
                    }
                }
                _ = try relay.awaitEnds(60)
            }
            backend.close()
            try await onThread {
                try eventually("descriptors are as before") { try openDescriptors() == before }
            }
        }

        private func unstarted() throws -> TestSocket {
            let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            guard number >= 0 else { throw SyscallError(call: "socket", number: errno) }
            return TestSocket(adopting: number)
        }
    }
}
