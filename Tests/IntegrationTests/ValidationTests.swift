// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What others write into etcd is read with distrust: skipped with a reason, never dialled.
@Suite(.tags(.integration), .untilHung)
struct ValidationTests {
    /// A value by hand, of which the reason is known. `%` stands for the port of a listener that must not be dialled.
    private struct Bad {
        let name: String
        let value: String
        let reason: String
        init(_ name: String, _ value: String, _ reason: String) {
            (self.name, self.value, self.reason) = (name, value, reason)
        }
    }

    private static let malformed: [Bad] = [
        Bad("empty", "", "json"),
        Bad("brace", "{", "json"),
        Bad("array", #"["127.0.0.1",%]"#, "json"),
        Bad("bom", "\u{feff}" + #"{"host":"127.0.0.1","port":%}"#, "json"),
        Bad("nan", #"{"host":"127.0.0.1","port":NaN}"#, "json"),
        Bad("trailing", #"{"host":"127.0.0.1","port":%} {}"#, "json"),
        Bad("deep", #"{"host":"127.0.0.1","port":%,"x":[[[[[[[[[[1]]]]]]]]]]}"#, "depth"),
        Bad("twice", #"{"host":"127.0.0.1","port":%,"host":"127.0.0.1"}"#, "duplicate-field"),
        Bad("version", #"{"v":2,"host":"127.0.0.1","port":%}"#, "version"),
        Bad("no-host", #"{"port":%}"#, "host"),
        Bad("octal", #"{"host":"0177.0.0.1","port":%}"#, "host"),
        Bad("hexadecimal", #"{"host":"0x7f000001","port":%}"#, "host"),
        Bad("integer", #"{"host":"2130706433","port":%}"#, "host"),
        Bad("short", #"{"host":"127.1","port":%}"#, "host"),
        Bad("zone", #"{"host":"::1%lo","port":%}"#, "host"),
        Bad("localhost", #"{"host":"localhost","port":%}"#, "name"),
        Bad("no-port", #"{"host":"127.0.0.1"}"#, "port"),
        Bad("port-0", #"{"host":"127.0.0.1","port":0}"#, "port"),
        Bad("port-text", #"{"host":"127.0.0.1","port":"x%"}"#, "port"),
        Bad("port-high", #"{"host":"127.0.0.1","port":65536}"#, "port"),
        Bad("udp", #"{"host":"127.0.0.1","port":%,"proto":"udp"}"#, "proto"),
        Bad("weight", #"{"host":"127.0.0.1","port":%,"weight":1001}"#, "weight"),
        Bad("weight-below", #"{"host":"127.0.0.1","port":%,"weight":-1}"#, "weight"),
        Bad("weight-huge", #"{"host":"127.0.0.1","port":%,"weight":1e308}"#, "weight"),
        Bad("weight-text", #"{"host":"127.0.0.1","port":%,"weight":"1000"}"#, "weight"),
        Bad("priority", #"{"host":"127.0.0.1","port":%,"priority":0.5}"#, "field"),
        Bad("state", #"{"host":"127.0.0.1","port":%,"state":"sleeping"}"#, "state"),
        Bad(
            "long", #"{"host":"127.0.0.1","port":%,"x":""# + String(repeating: "x", count: 4096) + #""}"#,
            "value-too-long"),
    ]

    /// In two halves, since a proxy logs 20 skipped entries a second and only counts the rest.
    @Test(.row("F20", "S9"), arguments: [0..<14, 14..<28])
    func malformedValuesAreSkippedWithAReasonAndNeverDialled(part: Range<Int>) async throws {
        try #require(Self.malformed.count == 28)
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let good = try await stage.backend(Backend.naming("good"))
            var traps: [(bad: Bad, listener: Backend)] = []
            for bad in Self.malformed[part] {
                let listener = try await stage.backend(Backend.naming(bad.name))
                traps.append((bad, listener))
                let value = bad.value.replacing("%lo", with: "@lo").replacing("%", with: "\(listener.endpoint.port)")
                    .replacing("@lo", with: "%lo")
                try await etcd.put("/services/web/\(bad.name)", value)
            }
            try await etcd.putInstance("/services/web/good", good.endpoint)
            let proxy = try await stage.proxy("web", etcd: etcd)
            for _ in 0..<50 { #expect(try await servedBy(proxy.endpoint) == "good") }
            for (bad, listener) in traps { #expect(listener.dials.isEmpty, "\(bad.name) was dialled") }

            let answer = try await stage.services(etcd: etcd, ["web"])
            for (bad, _) in traps {
                #expect(answer.reason(ofKey: "/services/web/\(bad.name)") == bad.reason, "\(bad.name)")
                #expect(
                    proxy.process.lines(containing: "/services/web/\(bad.name)", bad.reason).count >= 1,
                    "the proxy's log says of \(bad.name): \(bad.reason)")
            }
            #expect(answer.instance(ofKey: "/services/web/good") != nil)
        }
    }

    /// In a network of its own, of which loopback has addresses that must never be dialled.
    @Test(.row("S6")) func forbiddenAddressesAreNeverDialled() async throws {
        try await withStage { stage in
            let (network, etcd) = try await Self.forbiddenNetwork(on: stage)
            let good = try await stage.backend(on: Self.address("10.9.9.9"), in: .of(network), Backend.naming("good"))
            // Where each of these, were it dialled, would meet a listener.
            let forbidden: [(host: String, listensOn: String, reason: String)] = [
                ("0.0.0.0", "127.0.0.1", "forbidden"), ("::", "::1", "forbidden"),
                ("0.0.0.1", "127.0.0.1", "forbidden"),
                ("169.254.169.254", "169.254.169.254", "forbidden"),
                ("fd00:ec2::254", "fd00:ec2::254", "forbidden"),
                ("::ffff:169.254.169.254", "169.254.169.254", "forbidden"),
                ("240.0.0.1", "127.0.0.1", "forbidden"), ("224.0.0.1", "127.0.0.1", "forbidden"),
                ("fe80::1", "::1", "forbidden"), ("ff02::1", "::1", "forbidden"),
                ("127.0.0.1", "127.0.0.1", "loopback"), ("127.8.8.8", "127.8.8.8", "loopback"),
                ("::1", "::1", "loopback"), ("::ffff:127.0.0.1", "127.0.0.1", "loopback"),
                ("8.8.8.8", "8.8.8.8", "not-allowed"), ("2001:db8::1", "2001:db8::1", "not-allowed"),
            ]
            var traps: [(key: String, reason: String, listener: Backend)] = []
            // Every format is a door of its own.
            var doors: [(key: String, reason: String)] = []
            for (number, row) in forbidden.enumerated() {
                let listener = try await stage.backend(
                    on: Self.address(row.listensOn), in: .of(network), Backend.naming(row.host))
                let key = "/services/web/bad-\(number)"
                traps.append((key, row.reason, listener))
                try await etcd.put(key, #"{"host":"\#(row.host)","port":\#(listener.endpoint.port)}"#)
                for (form, value) in Self.forms(row.host, listener.endpoint.port) {
                    doors.append(("\(key)-\(form)", row.reason))
                    try await etcd.put("\(key)-\(form)", value)
                }
            }
            try await etcd.putInstance("/services/web/good", good.endpoint)
            // "Refused always" stays refused whatever it says; a rule that spans everything names no loopback.
            let process = try await stage.legation(
                ["proxy", "--allow-target", "169.254.0.0/16", "--allow-target", "[fe80::/10]"] + etcd.arguments
                    + ["web:7000"], networkOf: network)
            _ = try await process.listeningEndpoint()
            let client = Endpoint(.loopbackV4, port: 7000)
            for _ in 0..<40 {
                #expect(try await Network.of(network).run { try ClientLoop.round(to: client) } == "good")
            }
            for trap in traps { #expect(trap.listener.dials.isEmpty, "\(trap.key) was dialled") }
            let rules = ["--allow-target", "169.254.0.0/16", "--allow-target", "[fe80::/10]"]
            let said = try await stage.runLegation(
                ["services", "--json"] + rules + etcd.arguments, networkOf: network)
            let answer = try ServicesAnswer(said.output)
            for (key, reason) in traps.map({ ($0.key, $0.reason) }) + doors {
                #expect(answer.reason(ofKey: key) == reason, "\(key)")
            }
            // A proxy that is not overwhelmed tells of each.
            #expect(process.lines(containing: "entry skipped").count >= 15)
        }
    }

    /// The same address as others write it.
    private static func forms(_ host: String, _ port: UInt16) -> [(form: String, value: String)] {
        let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        return [
            ("bare", address), ("naming", #"{"Op":0,"Addr":"\#(address)"}"#),
            ("skydns", #"{"host":"\#(host)","port":\#(port),"ttl":60}"#),
            ("kratos", #"{"id":"x","name":"web","endpoints":["grpc://\#(address)?isSecure=false"]}"#),
            ("nerve", #"{"host":"\#(host)","port":\#(port),"name":"x","labels":{}}"#),
        ]
    }

    @Test(.row("S7")) func anEntryThatIsOurOwnListenerIsRefused() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let good = try await stage.backend(Backend.naming("good"))
            try await etcd.putInstance("/services/web/good", good.endpoint)
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await etcd.putInstance("/services/web/loop", proxy.endpoint)
            try await proxy.process.firstLine(containing: "/services/web/loop", "own-listener")
            for _ in 0..<10 { #expect(try await servedBy(proxy.endpoint) == "good") }
        }
    }

    @Test func aServiceWithRulesOfItsOwnAcceptsNothingElse() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let one = try await stage.backend(Backend.naming("one"))
            let two = try await stage.backend(on: Self.address("127.0.0.2"), Backend.naming("two"))
            try await etcd.putInstance("/services/web/one", one.endpoint)
            try await etcd.putInstance("/services/web/two", two.endpoint)
            let process = try await stage.legation(
                [
                    "proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8", "--allow-target",
                    "web=127.0.0.2/32:\(two.endpoint.port)",
                ] + etcd.arguments + ["web:0"])
            let endpoint = try await process.listeningEndpoint()
            for _ in 0..<10 { #expect(try await servedBy(endpoint) == "two") }
            #expect(one.dials.isEmpty)
        }
    }

    private static func forbiddenNetwork(on stage: Stage) async throws -> (ProcessUnderTest, EtcdProcess) {
        let network = try await stage.network()
        let addresses = ["10.9.9.9/32", "169.254.169.254/32", "8.8.8.8/32", "fd00:ec2::254/128", "2001:db8::1/128"]
        for address in addresses {
            let outcome = try await stage.run(
                Command("ip", ["addr", "add", address, "dev", "lo"], networkOf: network))
            try #require(outcome.succeeded, "\(outcome)")
        }
        return (network, try await stage.etcd(network: network))
    }

    private static func address(_ text: String) throws -> IPAddress {
        try #require(IPAddress(text))
    }
}
