// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Etcd
import ServiceModel
import Testing

@Suite struct EtcdLinkTests {
    /// What Docker sets for a link `etcd` to a container that declares these ports.
    private static func variables(of ports: [UInt16], address: String = "172.17.0.2") -> [String: String] {
        var variables = ["ETCD_NAME": "/client/etcd", "ETCD_ENV_ETCD_VERSION": "3.4"]
        if let lowest = ports.min() { variables["ETCD_PORT"] = "tcp://\(address):\(lowest)" }
        for port in ports {
            variables["ETCD_PORT_\(port)_TCP"] = "tcp://\(address):\(port)"
            variables["ETCD_PORT_\(port)_TCP_ADDR"] = address
            variables["ETCD_PORT_\(port)_TCP_PORT"] = "\(port)"
            variables["ETCD_PORT_\(port)_TCP_PROTO"] = "tcp"
        }
        return variables
    }

    @Test(
        arguments: [
            ([10000], 10000), ([2379], 2379), ([10000, 2379, 2380], 2379), ([4001, 7001], 4001),
            ([4001, 10000], 10000),
            ([7001, 8001], 7001), ([80], 80),
        ] as [([UInt16], UInt16)])
    func prefersThePortsThatEtcdIsKnownBy(ports: [UInt16], chosen: UInt16) throws {
        let link = try #require(EtcdLink(environment: Self.variables(of: ports)))
        #expect(link.endpoint == Endpoint("172.17.0.2:\(chosen)"))
    }

    @Test func takesTheMainPortWhereNoneIsKnown() throws {
        var variables = Self.variables(of: [7001, 8001])
        variables["ETCD_PORT"] = "tcp://172.17.0.2:8001"
        #expect(EtcdLink(environment: variables)?.endpoint == Endpoint("172.17.0.2:8001"))
    }

    @Test(arguments: [
        [:], ["ETCD_PORT": "2379"], ["ETCD_PORT": "udp://172.17.0.2:2379"], ["ETCD_PORT_2379_TCP_ADDR": "etcd"],
        ["ETCD_PORT_X_TCP_ADDR": "172.17.0.2"], ["ETCD_PORT_TCP_ADDR": "172.17.0.2"],
        ["ETCD_NAME": "member-1", "ETCD_DATA_DIR": "/var/lib/etcd"], ["ETCD_PORT": "tcp://172.17.0.2:0"],
        ["ETCD_PORT_99999_TCP_ADDR": "172.17.0.2"], ["ETCD_PORT_2379_UDP_ADDR": "172.17.0.2"],
    ])
    func takesVariablesOfOtherFormsForNoLink(environment: [String: String]) {
        #expect(EtcdLink(environment: environment) == nil)
    }
}

@Suite struct EtcdSearchTests {
    /// Accepts at these endpoints only.
    private struct Open: Prober {
        let endpoints: Set<Endpoint>
        func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool { endpoints.contains(endpoint) }
    }

    private func search(etcd addresses: [String], open: [String] = []) -> EtcdSearch {
        let found = addresses.compactMap { IPAddress($0) }
        return EtcdSearch(
            lookup: NameLookup { name in name == "etcd" && !found.isEmpty ? .addresses(found) : .failure("unknown") },
            prober: Open(endpoints: Set(open.compactMap { Endpoint($0) })))
    }

    private let link = Endpoint("172.17.0.2:10000").map { EtcdLink(endpoint: $0) }

    @Test func takesTheAliasWhereItIsTheLinks() async throws {
        let found = await search(etcd: ["172.17.0.2"]).find(link: link, usesTLS: false)
        #expect(found.endpoints.map(\.description) == ["http://etcd:10000"])
        #expect(found.by == "link variables")
    }

    @Test func takesTheLinksAddressWhereTheNameIsAnothers() async throws {
        for other in [[], ["10.1.1.1"]] {
            let found = await search(etcd: other).find(link: link, usesTLS: true)
            #expect(found.endpoints.map(\.description) == ["https://172.17.0.2:10000"])
        }
    }

    @Test(arguments: [
        (["10.1.1.1:2379", "10.1.1.1:10000"], ["http://etcd:2379"]), (["10.1.1.1:10000"], ["http://etcd:10000"]),
        ([], ["http://etcd:2379", "http://etcd:10000"]),
    ])
    func takesTheFirstPortOfTheAliasThatIsOpenAndBothWhenNoneIs(open: [String], endpoints: [String]) async {
        let found = await search(etcd: ["10.1.1.1"], open: open).find(link: nil, usesTLS: false)
        #expect(found.endpoints.map(\.description) == endpoints)
        #expect(found.by == "host name etcd")
    }

    @Test func looksOnThisHostLast() async {
        let found = await search(etcd: []).find(link: nil, usesTLS: false)
        #expect(found.endpoints.map(\.description) == ["http://127.0.0.1:2379"])
    }
}
