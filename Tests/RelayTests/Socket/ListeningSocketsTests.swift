// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Synchronization
import Testing

@testable import Relay

extension SocketSuites {
    @Suite struct ListeningSocketsTests {
        @Test func secondBindOfTheSamePortIsRefused() throws {
            let first = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 2)
            let endpoint = try ListeningSockets.boundEndpoint(of: first.numbers[0])
            for count in [1, 2] {
                let error = #expect(throws: SyscallError.self) {
                    _ = try ListeningSockets.bind(endpoint, dualStack: false, count: count)
                }
                #expect(error?.number == EADDRINUSE)
                #expect(error?.subject == "\(endpoint)")
            }
            #expect(first.count == 2)
        }

        @Test func foreignListenerIsAnErrorWithReusePortToo() throws {
            let foreign = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(foreign) }
            #expect(Syscall.setOption(foreign, level: SOL_SOCKET, name: SO_REUSEPORT, to: 1) == 0)
            let any = SocketAddress(Endpoint(.loopbackV4, port: 0))
            #expect(any.read { bind(foreign, $0, $1) } == 0)
            #expect(listen(foreign, 16) == 0)
            let endpoint = try ListeningSockets.boundEndpoint(of: foreign)
            let error = #expect(throws: SyscallError.self) {
                _ = try ListeningSockets.bind(endpoint, dualStack: false, count: 2)
            }
            #expect(error?.number == EADDRINUSE)
        }

        /// The window between checking for others and letting the own workers share must not exist.
        @Test func ofManyWhoBindAtOnceOneWins() async throws {
            try await onThread {
                for _ in 0..<100 {
                    let endpoint = try TestBackend.deadEndpoint()
                    let contenders = (0..<4).map { _ in
                        Beside { () -> [Int32] in
                            do {
                                return try ListeningSockets.bind(endpoint, dualStack: false, count: 3).relinquish()
                            } catch let error as SyscallError where error.number == EADDRINUSE { return [] }
                        }
                    }
                    let won = try contenders.map { try $0.join() }.filter { !$0.isEmpty }
                    defer { for number in won.joined() { close(number) } }
                    #expect(won.map(\.count) == [3])
                }
            }
        }

        @Test func socketsOfOneAddressShareItsClients() async throws {
            try await onThread {
                let sockets = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 3)
                let endpoint = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
                for number in sockets.numbers {
                    #expect(try ListeningSockets.boundEndpoint(of: number) == endpoint)
                }
                let clients = try (0..<300).map { _ in try TestSocket(connectedTo: endpoint) }
                var shares: [Int] = []
                for number in sockets.numbers {
                    var share = 0
                    var peer = SocketAddress()
                    while case let accepted = StreamSocket.accept(number, from: &peer), accepted >= 0 {
                        close(Int32(accepted))
                        share += 1
                    }
                    shares.append(share)
                }
                #expect(shares.reduce(0, +) == clients.count)
                #expect(shares.allSatisfy { $0 > 30 })
            }
        }

        @Test func portWithOldConnectionsCanBeBoundAgain() async throws {
            try await onThread {
                let backend = try TestBackend()
                let client = try TestSocket(connectedTo: backend.endpoint)
                // The side that ends first keeps the port in TIME_WAIT.
                let served = try backend.accept()
                served.close()
                #expect(try client.end() == .finished)
                client.close()
                backend.close()
                let again = try ListeningSockets.bind(backend.endpoint, dualStack: false, count: 2)
                #expect(again.count == 2)
            }
        }

        @Test(arguments: [true, false])
        func ipv6TakesIPv4OnlyWhenAsked(dualStack: Bool) async throws {
            try await onThread {
                let sockets = try ListeningSockets.bind(
                    Endpoint(.unspecifiedV6, port: 0), dualStack: dualStack, count: 1
                )
                let bound = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
                #expect(bound.address == .unspecifiedV6)
                _ = try TestSocket(connectedTo: Endpoint(.loopbackV6, port: bound.port))
                let overV4 = try? TestSocket(connectedTo: Endpoint(.loopbackV4, port: bound.port))
                #expect((overV4 != nil) == dualStack)
            }
        }

        @Test func addressThatIsNotOursIsNamedInTheError() throws {
            let endpoint = try #require(Endpoint("192.0.2.1:80"))
            let error = #expect(throws: SyscallError.self) {
                _ = try ListeningSockets.bind(endpoint, dualStack: false, count: 1)
            }
            #expect(error.map { "\($0)" } == "bind 192.0.2.1:80: Cannot assign requested address (EADDRNOTAVAIL)")
        }

        @Test func ownedDescriptorsAreClosedOnceAndInheritedByNobody() throws {
            let before = try openDescriptors()
            do {
                var sockets = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 2)
                sockets.append(try ListeningSockets.bind(Endpoint(.loopbackV6, port: 0), dualStack: false, count: 1))
                #expect(sockets.count == 3)
                #expect(try openDescriptors().count == before.count + 3)
                for number in sockets.numbers {
                    #expect(fcntl(number, F_GETFD) & FD_CLOEXEC != 0)
                    #expect(fcntl(number, F_GETFL) & O_NONBLOCK != 0)
                }
            }
            #expect(try openDescriptors() == before)
            let number = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 1)
                .relinquish()[0]
            #expect(close(number) == 0)
        }

        @Test func connectionsKeepAliveOnBothSidesAndSendAtOnce() async throws {
            // The instance's side does from the first look on.
            let limits = ConnectionLimits(
                deadPeer: DeadPeerPolicy(
                    firstLook: .milliseconds(100), interval: .milliseconds(100), patience: .seconds(30)))
            try await withRelay(limits: limits) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let before = Set(try openDescriptors())
                let pair = try relay.connectedPair(to: backend)
                let own: Set = [pair.client.descriptor, pair.backend.descriptor]
                try eventually("both of the relay's sockets") {
                    Set(try openDescriptors()).subtracting(before).subtracting(own).count == 2
                }
                for number in Set(try openDescriptors()).subtracting(before).subtracting(own) {
                    let options = [
                        (SOL_SOCKET, SO_KEEPALIVE, Int32(1)), (Int32(IPPROTO_TCP), TCP_NODELAY, 1),
                        (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15), (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5),
                        (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3), (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 0),
                    ]
                    for (level, name, expected) in options {
                        try eventually("option \(name) of \(number) to be \(expected)") {
                            var (value, length) = (Int32(-1), socklen_t(MemoryLayout<Int32>.size))
                            return getsockopt(number, level, name, &value, &length) == 0 && value == expected
                        }
                    }
                }
            }
        }
    }
}
