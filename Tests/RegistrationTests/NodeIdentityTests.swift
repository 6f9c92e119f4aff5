// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import ServiceModel
import Testing

@Suite struct NodeIdentityTests {
    private func resolve(
        node: String? = nil, host: String? = "hostA", isContainer: Bool = false, boot: String = "b",
        address: String = "10.77.0.1", random: UInt64 = 1
    ) throws -> NodeIdentity {
        try NodeIdentity.resolve(
            .init(node: node, hostName: host, isContainer: isContainer, bootID: boot),
            address: try #require(IPAddress(address)), zone: "z", version: "1.2.3", random: random)
    }

    @Test func aGivenNodeWins() throws {
        #expect(try resolve(node: "n1").node == "n1")
        #expect(try resolve(node: "n1", isContainer: true).node == "n1")
    }

    @Test func aHostIsItsName() throws {
        let identity = try resolve()
        #expect(identity.node == "hostA" && identity.address.description == "10.77.0.1")
        #expect(identity.zone == "z" && identity.version == "1.2.3")
    }

    @Test func aContainerIsTheAddressThatItPublishes() throws {
        #expect(try resolve(host: "3f4e5d6c7b8a", isContainer: true).node == "10.77.0.1")
        #expect(try resolve(isContainer: true, address: "fd00::1").node == "fd00::1")
    }

    @Test(arguments: [nil, "", "(none)", "a b", "a/b"])
    func aHostWithoutAUsableNameMustBeTold(_ host: String?) {
        let error = #expect(throws: IdentityError.self) { try resolve(host: host) }
        #expect(error?.flag == "--node")
    }

    @Test(arguments: ["", "a/b", "é", "a\n", String(repeating: "n", count: 101)])
    func refusesAGivenNode(_ node: String) {
        let error = #expect(throws: IdentityError.self) { try resolve(node: node) }
        #expect(error?.flag == "--node")
    }

    /// Vectors of draft-eastlake-fnv: the empty text, "a" and "foobar".
    @Test func bootsAreHashedByFNV1a() throws {
        #expect(NodeIdentity.bootHash("") == "cbf29ce484222325")
        #expect(NodeIdentity.bootHash("a\n") == "af63dc4c8601ec8c")
        #expect(NodeIdentity.bootHash("foobar") == "85944171f73967e8")
        #expect(try resolve(boot: "a").boot == "af63dc4c8601ec8c")
    }

    @Test func processesDiffer() throws {
        #expect(try resolve(random: 10).process == "000000000000000a")
        #expect(try resolve(random: .max).process == "ffffffffffffffff")
    }
}

@Suite struct PublishedAddressTests {
    private func choose(
        _ binding: String?, advertise: String? = nil, interface: String? = nil, loopback: Bool = false,
        source: String? = "10.9.9.9"
    ) throws -> String {
        let interfaces = [
            "eth0": ["fe80::1", "fd00::5", "10.5.5.5"], "six": ["fe80::1", "fd00::6"], "lo": ["127.0.0.1", "::1"],
            "none": ["fe80::1"],
        ]
        return try PublishedAddress(
            binding: binding.flatMap { IPAddress($0) },
            advertise: [advertise].compactMap { $0.flatMap { IPAddress($0) } }, interface: interface,
            allowsLoopback: loopback,
            addressesOfInterface: { (interfaces[$0] ?? []).compactMap { IPAddress($0) } },
            sourceAddress: { source.flatMap { IPAddress($0) } }
        ).choose().description
    }

    @Test func theBindingsOwnAddressComesFirst() throws {
        #expect(try choose("10.1.1.1", advertise: "10.2.2.2", interface: "eth0") == "10.1.1.1")
    }

    @Test(arguments: ["0.0.0.0", "::", nil])
    func whatIsBoundEverywhereIsPublishedAsTold(_ binding: String?) throws {
        #expect(try choose(binding, advertise: "10.2.2.2", interface: "eth0") == "10.2.2.2")
        #expect(try choose(binding, interface: "eth0") == "10.5.5.5")
        #expect(try choose(binding, interface: "six") == "fd00::6")
        #expect(try choose(binding) == "10.9.9.9")
    }

    @Test func loopbackIsPublishedOnlyWhenAllowed() throws {
        #expect(try choose("127.0.0.1", loopback: true) == "127.0.0.1")
        #expect(try choose("::1", loopback: true) == "::1")
        #expect(try choose("0.0.0.0", loopback: true, source: "127.0.0.1") == "127.0.0.1")
        #expect(try choose("127.0.0.1", advertise: "10.2.2.2") == "10.2.2.2")
        #expect(try choose("0.0.0.0", interface: "lo", loopback: true) == "127.0.0.1")
    }

    @Test(arguments: [
        ("127.0.0.1", nil, nil, "10.9.9.9", "--allow-loopback"), ("0.0.0.0", nil, nil, "127.0.0.1", "--advertise"),
        ("0.0.0.0", nil, nil, nil, "--advertise"), ("0.0.0.0", "0.0.0.0", nil, nil, "--advertise"),
        ("0.0.0.0", "127.0.0.1", nil, nil, "--advertise"), ("::", "::", nil, nil, "--advertise"),
        ("0.0.0.0", "169.254.1.1", nil, nil, "--advertise"), ("0.0.0.0", nil, "wlan9", nil, "--advertise-interface"),
        ("0.0.0.0", nil, "none", nil, "--advertise-interface"), ("0.0.0.0", nil, "lo", nil, "--advertise-interface"),
        ("0.0.0.0", nil, nil, "0.0.0.0", "--advertise"),
    ])
    func saysWhichFlagWouldHelp(
        _ binding: String, _ advertise: String?, _ interface: String?, _ source: String?, _ flag: String
    ) {
        let error = #expect(throws: IdentityError.self) {
            try choose(binding, advertise: advertise, interface: interface, source: source)
        }
        #expect(error?.flag == flag)
    }
}
