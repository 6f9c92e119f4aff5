// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import ServiceModel
import Testing

/// Our own labels.
@Suite struct ContainerLabelsTests {
    private static let two = ["10.77.0.1:32768->6379/tcp", "0.0.0.0:53->53/udp", "9121/tcp"]

    /// What is wrong, as `label=value`; nothing of what the other labels say must be lost by it.
    private func problems(
        _ labels: [String: String], ports: [String] = Self.two, _ rules: LabelRules = LabelRules()
    ) throws -> [String] {
        let container = try Labelled.container(labels, ports: ports)
        return rules.reading(of: container).problems.map { "\($0.label)=\($0.value)" }
    }

    @Test func nobodyIsPublishedWhoDoesNotAskForIt() throws {
        for labels in [[:], ["legation.weight": "5"], ["legation.6379.weight": "x"], ["legation.no": "1"], ["a": "b"]] {
            #expect(LabelRules().reading(of: try Labelled.container(labels)) == LabelRules.Reading())
        }
    }

    @Test(arguments: [
        (["legation.service": "redis-A"], ["10.77.0.1:1->6379/tcp"], "6379/tcp redis-A"),
        (["legation.service": "dns"], ["53/udp"], "53/udp dns"),
        (["legation.service": "a/b"], ["0.0.0.0:1->6379/tcp", "[::]:2->6379/tcp"], "6379/tcp a/b"),
        (["legation.service": "a"], ["0.0.0.0:1->6379/tcp", "7/sctp"], "6379/tcp a"),
        (["legation.service": "a", "legation.port": "6379"], two, "6379/tcp a"),
        (["legation.service": "a", "legation.port": "6379/tcp"], two, "6379/tcp a"),
        (["legation.service": "a", "legation.port": "53/udp"], two, "53/udp a"),
        (["legation.service": "a", "legation.port": "53-udp"], two, "53/udp a"),
        (["legation.service": "a", "legation.port": "1"], two, "1/tcp a"),
        (["legation.53-udp.service": "a"], two, "53/udp a"),
        (["legation.6379.service": "a"], two, "6379/tcp a"),
        (["legation.service": "a", "legation.6379.service": "b", "legation.port": "6379"], two, "6379/tcp b"),
    ])
    func aLabelClaimsOnePort(_ labels: [String: String], _ ports: [String], _ claim: String) throws {
        #expect(try Labelled.claims(try Labelled.container(labels, ports: ports)) == [claim])
    }

    @Test func severalPortsAreSeveralServices() throws {
        let labels = [
            "legation.service": "a", "legation.port": "9121", "legation.6379.service": "b",
            "legation.53-udp.service": "c",
        ]
        let container = try Labelled.container(labels, ports: Self.two)
        #expect(try Labelled.claims(container) == ["53/udp c", "6379/tcp b", "9121/tcp a"])
    }

    @Test func aPortsLabelGoesBeforeTheContainers() throws {
        let labels = [
            "legation.service": "a", "legation.port": "6379", "legation.53-udp.service": "b", "legation.weight": "5",
            "legation.priority": "1", "legation.tags": "x,y", "legation.meta.version": "7.0",
            "legation.meta.shard": "3",
            "legation.address": "10.1.1.1", "legation.network": "back", "legation.53-udp.weight": "0",
            "legation.53-udp.priority": "2", "legation.53-udp.tags": "z", "legation.53-udp.meta.shard": "4",
            "legation.53-udp.address": "fd00:0::1", "legation.53-udp.network": "front", "legation.53-udp.instance": "i",
        ]
        #expect(
            try Labelled.claims(try Labelled.container(labels, ports: Self.two)) == [
                #"53/udp b priority=2 tags=z meta={"shard":4,"version":"7.0"} instance=i address=fd00::1 network=front"#
                    .replacing("udp b", with: "udp b weight=0"),
                #"6379/tcp a weight=5 priority=1 tags=x|y meta={"shard":3,"version":"7.0"} address=10.1.1.1 network=back"#,
            ])
    }

    /// Whoever may start a container must not get the registry filled by it, or the log.
    @Test(.timeLimit(.minutes(1))) func oneContainerMayNotClaimWithoutEnd() throws {
        func reading(_ service: String, _ ports: Int) throws -> LabelRules.Reading {
            let labels = (1...ports).map { ("legation.\($0).service", service) }
            let container = try Labelled.container(Dictionary(uniqueKeysWithValues: labels))
            return LabelRules().reading(of: container)
        }
        let many = try reading("a", 65_535)
        #expect(many.claims.map(\.port) == Array(1...128))
        #expect(many.problems.map { "\($0.label)=\($0.value)" } == ["port 129=a"])
        let wrong = try reading("a b", 1_000)
        #expect(wrong.claims.isEmpty)
        #expect(wrong.problems.first?.label == "legation.1.service" && wrong.problems.count == 17)
        #expect(wrong.problems.last?.label == "and 113 more")
    }

    @Test func aPortThatNobodyClaimsTakesNoRoom() throws {
        var labels = Dictionary(uniqueKeysWithValues: (1...128).map { ("legation.\($0).service", "a") })
        let ports = (1...200).map { "0.0.0.0:\($0)->\($0)/tcp" }
        let full = LabelRules().reading(of: try Labelled.container(labels, ports: ports))
        #expect(full.claims.count == 128 && full.problems.isEmpty)
        labels["SERVICE_200_NAME"] = "b"
        let over = LabelRules().reading(of: try Labelled.container(labels, ports: ports))
        #expect(over.claims.count == 128 && over.problems.map(\.label) == ["port 200"])
        labels["legation.128.service"] = nil
        let both = LabelRules().reading(of: try Labelled.container(labels, ports: ports))
        #expect(both.claims.count == 128 && both.claims.last?.port == 200 && both.problems.isEmpty)
    }

    @Test func metaMayBeCalledLikeAField() throws {
        let labels = ["legation.service": "a", "legation.meta.host": "x", "legation.meta.a.b": "007"]
        #expect(try Labelled.claims(try Labelled.container(labels)) == [#"6379/tcp a meta={"a.b":"007","host":"x"}"#])
    }

    @Test func theNetworkOfAllIsThatOfTheFlag() throws {
        let labels = ["legation.service": "a"]
        let rules = LabelRules(network: "back")
        #expect(try Labelled.claims(try Labelled.container(labels), rules) == ["6379/tcp a network=back"])
        let own = labels.merging(["legation.network": "front"]) { $1 }
        #expect(try Labelled.claims(try Labelled.container(own), rules) == ["6379/tcp a network=front"])
    }

    @Test func onTheHostsNetworkThePortHasToBeNamed() throws {
        func host(_ labels: [String: String]) throws -> Container {
            try Labelled.container(labels, ports: [], usesHostNetwork: true)
        }
        #expect(
            try Labelled.claims(try host(["legation.service": "a", "legation.port": "6379"])) == ["6379/tcp a"])
        #expect(try Labelled.claims(try host(["legation.6379.service": "a"])) == ["6379/tcp a"])
        let unclear = LabelRules().reading(of: try host(["legation.service": "a"]))
        #expect(unclear.claims.isEmpty && unclear.problems.first?.allowed.contains("legation.port") == true)
    }

    // MARK: What is wrong

    @Test(arguments: [
        ("service", "a b"), ("service", ""), ("service", "/a"), ("weight", "1001"), ("weight", "-1"),
        ("weight", "five"),
        ("weight", "05"), ("weight", ""), ("priority", "-1"), ("priority", "high"), ("tags", "a,,b"), ("tags", ""),
        ("address", "redis.lan"), ("address", "10.0.0.1:6379"), ("address", ""), ("network", ""), ("instance", "a/b"),
        ("instance", ""),
    ])
    func aWrongLabelCostsItsPortAlone(_ name: String, _ value: String) throws {
        var labels = ["legation.6379.service": "a", "legation.9121.service": "c"]
        labels["legation.6379.\(name)"] = value
        let reading = LabelRules().reading(of: try Labelled.container(labels, ports: Self.two))
        #expect(try reading.claims.map(Labelled.words) == ["9121/tcp c"])
        #expect(reading.problems.map(\.label) == ["legation.6379.\(name)"])
        #expect(reading.problems.first?.value == value && reading.problems.first?.allowed.isEmpty == false)
    }

    @Test func aWrongLabelOfTheContainerIsToldOnceAndSparesPortsWithTheirOwn() throws {
        let labels = [
            "legation.6379.service": "a", "legation.9121.service": "b", "legation.53-udp.service": "c",
            "legation.weight": "heavy", "legation.9121.weight": "7",
        ]
        let reading = LabelRules().reading(of: try Labelled.container(labels, ports: Self.two))
        #expect(try reading.claims.map(Labelled.words) == ["9121/tcp b weight=7"])
        #expect(reading.problems.map(\.label) == ["legation.weight"])
    }

    @Test(arguments: [
        (["legation.service": "a"], "legation.service=a"),
        (["legation.service": "a", "legation.port": "0"], "legation.port=0"),
        (["legation.service": "a", "legation.port": "65536"], "legation.port=65536"),
        (["legation.service": "a", "legation.port": "06379"], "legation.port=06379"),
        (["legation.service": "a", "legation.port": "53/sctp"], "legation.port=53/sctp"),
        (["legation.service": "a", "legation.port": "53/"], "legation.port=53/"),
        (["legation.service": "a", "legation.port": "redis"], "legation.port=redis"),
    ])
    func thePortHasToBeClear(_ labels: [String: String], _ problem: String) throws {
        #expect(try problems(labels) == [problem])
        #expect(LabelRules().reading(of: try Labelled.container(labels, ports: Self.two)).claims.isEmpty)
    }

    @Test func withoutAnyPortItSaysThatThereIsNone() throws {
        let reading = LabelRules().reading(of: try Labelled.container(["legation.service": "a"], ports: []))
        #expect(reading.problems.first?.allowed.contains("names no port") == true && reading.claims.isEmpty)
    }

    @Test(arguments: [
        "legation.wieght", "legation.6379.wieght", "legation.6379.port", "legation.meta.", "legation.meta", "legation.",
        "legation.6379", "legation.0.weight", "legation.6379-tcp.weight", "legation.53/udp.weight",
        "legation.70000.weight",
    ])
    func aLabelThatMeansNothingIsToldAndCostsNothing(_ label: String) throws {
        let reading = LabelRules().reading(of: try Labelled.container(["legation.service": "a", label: "1"]))
        #expect(reading.problems.map(\.label) == [label])
        #expect(try reading.claims.map(Labelled.words) == ["6379/tcp a"])
    }

    /// What labels say is a stranger's word: it is not repeated at length.
    @Test func aValueIsCutWithinNoCharacter() {
        let long = String(repeating: "x", count: 63) + "é" + String(repeating: "y", count: 1000)
        #expect(LabelProblem("l", value: long, allowed: "").value == String(repeating: "x", count: 63))
        let whole = String(repeating: "é", count: 32)
        #expect(LabelProblem("l", value: whole, allowed: "").value == whole)
        #expect(LabelProblem("l", value: whole + "z", allowed: "").value == whole)
    }

    // MARK: What may be claimed

    @Test(arguments: [
        (["redis-A"], "redis-A", true), (["redis-A"], "redis-AB", false), (["redis-A"], "redis", false),
        (["shop/*"], "shop/cart", true), (["shop/*"], "shop/a/b", true), (["shop/*"], "shop", false),
        (["shop/*"], "shopping", false), (["redis-*"], "redis-", true), (["a", "b*"], "bc", true),
        (["*"], "any/x", true),
        ([], "any", true),
    ])
    func onlySomeServicesMayBeClaimed(_ patterns: [String], _ service: String, _ isAllowed: Bool) throws {
        let rules = LabelRules(allowed: try patterns.map { try #require(ServicePattern($0)) })
        let labels = ["legation.6379.service": service, "legation.9121.service": patterns.isEmpty ? "x" : "redis-A"]
        let reading = rules.reading(of: try Labelled.container(labels, ports: ["6379/tcp"]))
        #expect(reading.claims.contains { $0.port == 6379 } == isAllowed)
        if !isAllowed {
            let problem = reading.problems.first { $0.label == "legation.6379.service" }
            #expect(problem?.value == service && problem?.allowed.contains("--allow-service") == true)
        }
    }

    @Test(arguments: ["", "/", "a/", "a*b", "**", "a b", "/*", "a//*", "*a"])
    func refusesPatternsOfNoService(_ text: String) { #expect(ServicePattern(text) == nil) }
}
