// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import ServiceModel
import Testing

/// Where a container is published.
@Suite struct ContainerAddressTests {
    private func choose(
        _ bindings: [String], label: String? = nil, advertise: String..., interface: String? = nil,
        loopback: Bool = false, source: String? = "10.9.9.9", containers: [String] = []
    ) throws -> String {
        let interfaces = ["eth0": ["fd00::5", "10.5.5.5"], "six": ["fd00::6"]]
        var address = PublishedAddress(
            binding: nil, advertise: advertise.compactMap { IPAddress($0) }, interface: interface,
            allowsLoopback: loopback,
            addressesOfInterface: { (interfaces[$0] ?? []).compactMap { IPAddress($0) } },
            sourceAddress: { source.flatMap { IPAddress($0) } })
        address.label = label
        address.containerAddresses = Set(containers.compactMap { IPAddress($0) })
        return try address.choose(among: try bindings.map { try Engine.binding($0) }).description
    }

    @Test func eachSayGoesBeforeTheNext() throws {
        #expect(try choose(["10.1.1.1:7"], label: "10.2.2.2", advertise: "10.3.3.3") == "10.1.1.1:7")
        for binding in ["0.0.0.0:7", "127.0.0.1:7"] {
            #expect(try choose([binding], label: "10.2.2.2", advertise: "10.3.3.3", interface: "eth0") == "10.2.2.2:7")
            #expect(try choose([binding], advertise: "10.3.3.3", interface: "eth0") == "10.3.3.3:7")
            #expect(try choose([binding], interface: "eth0") == "10.5.5.5:7")
        }
        #expect(try choose(["0.0.0.0:7"]) == "10.9.9.9:7")
        #expect(try choose(["127.0.0.1:7"], loopback: true) == "127.0.0.1:7")
    }

    /// Who listens on one family's addresses is reached by that family.
    @Test func theFamilyIsTheBindings() throws {
        #expect(try choose(["[::]:7"], interface: "eth0") == "[fd00::5]:7")
        #expect(try choose(["0.0.0.0:1", "[::]:2"], interface: "eth0") == "10.5.5.5:1")
        #expect(try choose(["0.0.0.0:1", "[::]:2"], interface: "six") == "[fd00::6]:2")
        #expect(try choose(["0.0.0.0:1", "[::]:2"], source: "fd00::9") == "[fd00::9]:2")
        #expect(try choose(["0.0.0.0:1", "[::]:2"], label: "fd00::9") == "[fd00::9]:2")
        #expect(try choose(["0.0.0.0:1", "[::]:2"], advertise: "fd00::9") == "[fd00::9]:2")
    }

    /// One of each family, in whatever order.
    @Test func whatIsAdvertisedStandsForItsFamily() throws {
        for (first, second) in [("10.3.3.3", "fd00::9"), ("fd00::9", "10.3.3.3")] {
            #expect(try choose(["0.0.0.0:1"], advertise: first, second) == "10.3.3.3:1")
            #expect(try choose(["[::]:1"], advertise: first, second) == "[fd00::9]:1")
            #expect(try choose(["127.0.0.1:1"], advertise: first, second) == "10.3.3.3:1")
            #expect(try choose(["[::1]:1"], advertise: first, second) == "[fd00::9]:1")
            #expect(try choose(["0.0.0.0:1", "[::]:2"], advertise: first, second) == "10.3.3.3:1")
        }
    }

    /// Nobody listens there.
    @Test(arguments: [
        ("0.0.0.0:1", "fd00::9", "IPv4"), ("[::]:1", "10.3.3.3", "IPv6"), ("127.0.0.1:1", "fd00::9", "IPv4"),
    ])
    func whatIsAdvertisedStandsForNoOtherFamily(_ binding: String, _ advertise: String, _ family: String) throws {
        let error = #expect(throws: IdentityError.self) { try choose([binding], advertise: advertise) }
        #expect(error?.flag == "--advertise")
        #expect(error?.message.contains("published for \(family) only") == true)
    }

    @Test func aContainersLabelStandsForTheOtherFamilyToo() throws {
        #expect(try choose(["[::]:1"], label: "10.2.2.2") == "10.2.2.2:1")
        #expect(try choose(["[::]:1"], label: "10.2.2.2", advertise: "fd00::9") == "10.2.2.2:1")
    }

    /// Of what listens here without a container.
    @Test(arguments: [("0.0.0.0", "10.3.3.3"), ("::", "fd00::9"), ("10.1.1.1", "10.1.1.1")])
    func anAddressIsReplacedByThatOfItsFamily(_ binding: String, _ published: String) throws {
        for advertise in [["10.3.3.3", "fd00::9"], ["fd00::9", "10.3.3.3"]] {
            let address = PublishedAddress(
                binding: IPAddress(binding), advertise: advertise.compactMap { IPAddress($0) },
                addressesOfInterface: { _ in [] }, sourceAddress: { nil })
            #expect(try address.choose().description == published)
        }
    }

    @Test func aBindingThatCannotBePublishedGivesWayToOneThatCan() throws {
        #expect(try choose(["0.0.0.0:1", "[fd00::1]:2"], source: nil) == "[fd00::1]:2")
    }

    @Test func anAddressOfAContainerIsNoHosts() throws {
        let error = #expect(throws: IdentityError.self) {
            try choose(["0.0.0.0:1"], source: "172.17.0.3", containers: ["172.17.0.2", "172.17.0.3"])
        }
        #expect(error?.flag == "--advertise" && error?.message.contains("container") == true)
        #expect(try choose(["0.0.0.0:1"], source: "172.17.0.1", containers: ["172.17.0.2"]) == "172.17.0.1:1")
        #expect(try choose(["10.1.1.1:1"], source: "172.17.0.3", containers: ["172.17.0.3"]) == "10.1.1.1:1")
    }

    @Test(
        arguments: [
            (["0.0.0.0:1"], "host.example", nil, nil, "legation.address"),
            (["0.0.0.0:1"], "0.0.0.0", nil, nil, "legation.address"),
            (["0.0.0.0:1"], "127.0.0.1", nil, nil, "legation.address"),
            (["127.0.0.1:1"], nil, nil, "10.9.9.9", "--allow-loopback"), (["0.0.0.0:1"], nil, nil, nil, "--advertise"),
            (["0.0.0.0:1"], nil, nil, "fd00::9", "--advertise"), (["[::]:1"], nil, nil, "10.9.9.9", "--advertise"),
            (["0.0.0.0:1"], nil, "six", nil, "--advertise"), (["0.0.0.0:1"], nil, "none", nil, "--advertise-interface"),
        ] as [([String], String?, String?, String?, String)])
    func saysWhatWouldHelp(
        _ bindings: [String], _ label: String?, _ interface: String?, _ source: String?, _ flag: String
    ) {
        let error = #expect(throws: IdentityError.self) {
            try choose(bindings, label: label, interface: interface, source: source)
        }
        #expect(error?.flag == flag)
    }
}

/// Who a registrator is that runs in a container.
@Suite struct ContainerIdentityTests {
    @Test(arguments: [
        ("3f4e5d6c7b8a", true), (Engine.redisID, true), ("3f4e5d6c7b8", false), ("a1b2c3d4e5f6", false), ("", false),
        (nil, false),
    ])
    func aHostNamedAsAContainerBeginsIsThatContainer(_ hostName: String?, _ isContainer: Bool) throws {
        let surroundings = NodeIdentity.Surroundings(node: nil, hostName: hostName, isContainer: false, bootID: "b")
        #expect(surroundings.besides([try Engine.redis()]).isContainer == isContainer)
    }

    @Test func whoKnowsToBeInAContainerStaysThere() {
        let surroundings = NodeIdentity.Surroundings(node: nil, hostName: "h", isContainer: true, bootID: "b")
        #expect(surroundings.besides([]).isContainer)
    }

    @Test func anInstanceIsNamedByNodeContainerAndPort() {
        func name(_ node: String, _ container: String, _ transport: ContainerPort.Transport) -> String {
            Registration.instanceName(node: node, container: container, port: 6379, transport: transport)
        }
        #expect(name("hostA", "redis-demo.service", .tcp) == "hostA:redis-demo.service:6379")
        #expect(name("hostA", "redis", .udp) == "hostA:redis:6379:udp")
        #expect(name("fd00::1", "a/b", .sctp) == "fd00%3A%3A1:a%2Fb:6379:sctp")
    }
}
