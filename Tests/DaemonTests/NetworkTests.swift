// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Logging
import Relay
import ServiceModel
import Synchronization
import Testing

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

private func endpoint(_ text: String) throws -> Endpoint { try #require(Endpoint(text)) }

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("6379", "*:6379"), ("0", "*:0"), ("127.0.0.1:80", "127.0.0.1:80"), ("[::1]:80", "[::1]:80"),
        ("[::]:0", "[::]:0"), ("unix:/run/a.sock", "unix:/run/a.sock"),
    ])
    func readsPortsAndAddresses(text: String, shown: String) {
        #expect(ListenAddress(text)?.description == shown)
    }

    @Test(arguments: [
        "", ":80", "65536", "localhost:80", "::1:80", "127.0.0.1", "1.2.3.4:x", "unix:", "unix:a", "/run/a",
    ])
    func refusesEverythingElse(text: String) {
        #expect(ListenAddress(text) == nil)
    }
}

@Suite struct ListenerSetTests {
    private let link = Link(id: Link.ID(0), name: "a")

    @Test func opensOneSocketForEachWorkerAndSaysWhere() throws {
        let lines = Mutex<[String]>([])
        let logger = Logger(label: "test") { _ in
            LineLogHandler(level: .info) { line in lines.withLock { $0.append(line) } }
        }
        let address = ListenAddress.at(try endpoint("127.0.0.1:0"))
        let set = ListenerSet(requests: [address], logger: logger)
        #expect(set.ownEndpoints.isEmpty)
        var wasToldBefore = false
        var numbers: [Int32] = []
        var bound: Endpoint?
        try set.open(address, link: link, workers: 3) { sockets in
            wasToldBefore = lines.withLock { $0.count == 1 }
            numbers = sockets.numbers
            bound = try? ListeningSockets.boundEndpoint(of: sockets.numbers[0])
        }
        let own = try #require(bound)
        #expect(wasToldBefore)
        #expect(Set(numbers).count == 3)
        #expect(own.port != 0)
        #expect(set.ownEndpoints == [own])
        let line = lines.withLock { $0.first ?? "" }
        #expect(line.hasSuffix(" info \"listening\" address=\(own) link=a\n"))
    }

    @Test func takesBothFamiliesOnABarePort() throws {
        let set = ListenerSet(requests: [.anywhere(port: 0)], logger: quiet)
        var bound: Endpoint?
        try set.open(.anywhere(port: 0), link: link, workers: 1) { sockets in
            bound = try? ListeningSockets.boundEndpoint(of: sockets.numbers[0])
        }
        let port = try #require(bound).port
        #expect(bound?.address.isUnspecified == true)
        #expect(set.ownEndpoints.contains(Endpoint(.loopbackV4, port: port)))
    }

    @Test func namesAddressAndPortThatAreTaken() throws {
        let any = ListenAddress.at(try endpoint("127.0.0.1:0"))
        let set = ListenerSet(requests: [], logger: quiet)
        try set.open(any, link: link, workers: 1) { sockets in
            guard let taken = try? ListeningSockets.boundEndpoint(of: sockets.numbers[0]) else {
                Issue.record("not bound")
                return
            }
            let error = #expect(throws: SyscallError.self) { try set.check(.at(taken)) }
            #expect(error.map { "\($0)".contains("\(taken)") } == true)
        }
    }

    @Test func letsGoOfWhatItChecked() throws {
        let set = ListenerSet(requests: [], logger: quiet)
        var bound: Endpoint?
        try set.open(.at(try endpoint("127.0.0.1:0")), link: link, workers: 1) { sockets in
            bound = try? ListeningSockets.boundEndpoint(of: sockets.numbers[0])
        }
        let free = try #require(bound)
        #expect(throws: Never.self) {
            try set.check(.at(free))
            try set.check(.at(free))
        }
    }

    @Test func countsListenersThatAreStillShutAsOwn() throws {
        let own = try endpoint("10.9.8.7:6379")
        let path = try #require(UnixPath("/run/a.sock"))
        let set = ListenerSet(requests: [.at(own), .unix(path)], logger: quiet)
        #expect(set.ownEndpoints == [own])
        #expect(set.leadsBack(.network(own)) && set.leadsBack(.unix(path)))
        #expect(try !set.leadsBack(.unix(#require(UnixPath("/run/b.sock")))))
    }
}

@Suite struct OwnAddressesTests {
    @Test func expandsAWildcardToTheAddressesOfItsFamily() throws {
        let own = OwnAddresses {
            [
                .init(name: "lo", address: .loopbackV4), .init(name: "lo", address: .loopbackV6),
                .init(name: "eth0", address: IPAddress(v4: 0x0a00_0001)),
            ]
        }
        let port: UInt16 = 80
        #expect(
            own.expanding(try endpoint("0.0.0.0:80"))
                == [
                    Endpoint(.unspecifiedV4, port: port), Endpoint(.loopbackV4, port: port),
                    try endpoint("10.0.0.1:80"),
                ])
        #expect(
            Set(own.expanding(try endpoint("[::]:80"))).isSuperset(of: [
                Endpoint(.loopbackV6, port: port), try endpoint("10.0.0.1:80"), Endpoint(.loopbackV4, port: port),
            ]))
        #expect(own.expanding(try endpoint("10.0.0.1:80")) == [try endpoint("10.0.0.1:80")])
    }

    @Test func findsTheLoopbackInterfaceOfThisHost() {
        #expect(OwnAddresses().interfaces.contains(.init(name: "lo", address: .loopbackV4)))
    }

    @Test func tellsTheSourceAddressOfAConnection() throws {
        #expect(OwnAddresses.source(toward: try endpoint("127.0.0.1:2379")) == .loopbackV4)
    }

    @Test(arguments: ["10.1.2.3", "fd00::1:2", "::1"])
    func keepsAnAddressThroughTheKernelsOrder(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(IPAddress(networkOrder: address.networkOrder) == address)
    }
}

@Suite struct ConnectProberTests {
    @Test(.timeLimit(.minutes(1))) func tellsAListenerFromAClosedPort() async throws {
        let sockets = try ListeningSockets.bind(try endpoint("127.0.0.1:0"), dualStack: false, count: 1)
        let open = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
        #expect(await ConnectProber().accepts(open, within: .seconds(5)))
        close(sockets)
        #expect(await !ConnectProber().accepts(open, within: .seconds(5)))
    }

    private func close(_ sockets: consuming OwnedDescriptors) {}
}
