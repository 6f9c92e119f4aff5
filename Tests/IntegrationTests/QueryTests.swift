// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `services`, `nodes`, `check-etcd`: what an operator asks.
@Suite(.tags(.integration), .untilHung)
struct QueryTests {
    @Test func servicesShowsInstancesAndSkippedEntries() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("redis-A", Endpoint(.loopbackV4, port: 6379), etcd: etcd)
            try await etcd.put("/services/redis-A/by-hand", #"{"port":6380,"host":"10.77.0.1"}"#)
            try await etcd.put("/services/redis-A/bad", #"{"port":0,"host":"10.77.0.1"}"#)
            try await etcd.put("/services/pg/one", #"{"port":5432,"host":"10.77.0.2","state":"draining"}"#)

            let answer = try await stage.services(etcd: etcd)
            let own = try #require(answer.instance(ofKey: registrator.key))
            #expect(own["address"] as? String == "127.0.0.1:6379")
            #expect(own["node"] as? String == "hostA" && own["state"] as? String == "up")
            #expect((own["since"] as? String)?.hasPrefix("20") == true)
            let byHand = try #require(answer.instance(ofKey: "/services/redis-A/by-hand"))
            #expect(byHand["address"] as? String == "10.77.0.1:6380")
            #expect(answer.instance(ofKey: "/services/pg/one")?["state"] as? String == "draining")
            #expect(answer.reason(ofKey: "/services/redis-A/bad") == "port")
            let one = try await stage.services(etcd: etcd, ["pg"])
            #expect(one.instance(ofKey: "/services/pg/one") != nil && one.instance(ofKey: registrator.key) == nil)

            let text = try await stage.runLegation(["services", "--allow-target", "127.0.0.0/8"] + etcd.arguments)
            #expect(text.succeeded)
            for word in [registrator.key, "127.0.0.1:6379", "hostA", "up", "draining", "10.77.0.1:6380", "port"] {
                #expect(text.output.contains(word), "\(word) in:\n\(text.output)")
            }
        }
    }

    @Test func nodesShowsRegistratorsThatLive() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            _ = try await stage.register("a", Endpoint(.loopbackV4, port: 1), etcd: etcd, node: "hostA")
            _ = try await stage.register("b", Endpoint(.loopbackV4, port: 2), etcd: etcd, node: "hostB")
            let json = try await stage.runLegation(["nodes", "--json"] + etcd.arguments)
            let found = try ServicesAnswer(json.output).all.compactMap { $0["node"] as? String }
            #expect(Set(found) == ["hostA", "hostB"], "\(json)")
            let text = try await stage.runLegation(["nodes"] + etcd.arguments)
            #expect(text.succeeded && text.output.contains("hostA") && text.output.contains("hostB"))
        }
    }

    @Test func nothingRegisteredIsNoError() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            for command in ["services", "nodes"] {
                for json in [[], ["--json"]] {
                    let outcome = try await stage.runLegation([command] + json + etcd.arguments)
                    #expect(outcome.succeeded, "\(outcome)")
                    if !json.isEmpty { _ = try ServicesAnswer(outcome.output) }
                }
            }
        }
    }

    @Test(arguments: EtcdProcess.Version.allCases)
    func checkEtcdFindsNothingWrong(version: EtcdProcess.Version) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(version)
            let read = try await stage.runLegation(["check-etcd"] + etcd.arguments)
            #expect(read.succeeded && read.output.contains(version.rawValue), "\(read)")
            #expect(try await etcd.keys("/").isEmpty)
            try await etcd.withChanges("/services-nodes/") { changes in
                let write = try await stage.runLegation(["check-etcd", "--write"] + etcd.arguments)
                #expect(write.succeeded, "\(write)")
                try await waitFor("the probe key's put and delete") {
                    changes.all.map(\.isDelete) == [false, true]
                }
            }
            #expect(try await etcd.ctl("lease", "list").contains("found 0 leases"))
            let json = try await stage.runLegation(["check-etcd", "--json"] + etcd.arguments)
            #expect(json.succeeded)
            _ = try ServicesAnswer(json.output)
        }
    }

    @Test func everythingWorksOverTLSWithClientCertificates() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(tls: true)
            let check = try await stage.runLegation(["check-etcd", "--write"] + etcd.arguments)
            #expect(check.succeeded, "\(check)")
            let backend = try await stage.backend(Backend.naming("A"))
            let process = try await stage.legation(stage.registerArguments("web", backend.endpoint, etcd: etcd))
            try await process.firstLine(containing: "registered")
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await waitFor("served") { try await servedBy(proxy.endpoint) == "A" }
            try await etcd.putInstance("/services/web/b", backend.endpoint)
            try await etcd.ctl("del", "/services/web/b")

            // Without our certificate, and without its authority, etcd is no etcd.
            let certificates = try #require(etcd.certificates)
            let stranger = ["check-etcd", "--etcd", etcd.url]
            for words in [[], ["--etcd-ca", certificates.authority]] {
                let outcome = try await stage.runLegation(stranger + words, within: .seconds(60))
                #expect(outcome.status == .code(1), "\(outcome)")
            }
        }
    }

    @Test func asksTheSecondEndpointWhenTheFirstIsDead() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            try await etcd.put("/services/web/a", #"{"port":80,"host":"10.0.0.1"}"#)
            let dead = "http://127.0.0.1:\(try FreePorts.take())"
            let both = ["--etcd", "\(dead),\(etcd.url)"]
            let services = try await stage.runLegation(["services"] + both)
            #expect(services.succeeded && services.output.contains("10.0.0.1:80"), "\(services)")
            let check = try await stage.runLegation(["check-etcd"] + both, within: .seconds(60))
            #expect(check.status == .code(1), "one of two endpoints is dead: \(check)")
            #expect(check.output.contains(dead) && check.output.contains("3.4.23"), "\(check)")
        }
    }

    /// What Docker sets for a link `etcd`.
    private static func link(to endpoint: Endpoint) -> [String: String] {
        [
            "ETCD_PORT": "tcp://\(endpoint)", "ETCD_PORT_\(endpoint.port)_TCP_ADDR": "\(endpoint.address)",
            "ETCD_PORT_\(endpoint.port)_TCP_PORT": "\(endpoint.port)", "ETCD_NAME": "/us/etcd",
        ]
    }

    @Test func findsEtcdByTheEnvironmentInOrder() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let dead = "http://127.0.0.1:\(try FreePorts.take())"
            let places = [
                (["--etcd", etcd.url], ["LEGATION_ETCD": dead, "ETCDCTL_ENDPOINTS": dead]),
                ([], ["LEGATION_ETCD": etcd.url, "ETCDCTL_ENDPOINTS": dead]),
                ([], ["ETCDCTL_ENDPOINTS": etcd.url, "ETCD_PORT": "tcp://127.0.0.1:1"]),
                ([], Self.link(to: etcd.endpoint)),
                // Where several ports are linked, those that etcd is known by come first.
                ([], Self.link(to: etcd.endpoint).merging(["ETCD_PORT_7001_TCP_ADDR": "127.0.0.9"]) { $1 }),
            ]
            for (flags, environment) in places {
                let outcome = try await stage.runLegation(["services"] + flags, environment: environment)
                #expect(outcome.succeeded, "\(environment): \(outcome)")
            }
        }
    }
}

/// The JSON of `services`, `nodes` and `check-etcd`, of which the tests look at objects by their fields.
struct ServicesAnswer {
    /// Every object in it, outermost first.
    let all: [[String: Any]]

    init(_ text: String) throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(text.utf8))
        all = Self.objects(in: parsed)
    }

    private static func objects(in value: Any) -> [[String: Any]] {
        if let object = value as? [String: Any] { return [object] + object.values.flatMap(objects) }
        if let array = value as? [Any] { return array.flatMap(objects) }
        return []
    }

    /// The instance under a key, nil when it is skipped or not there.
    func instance(ofKey key: String) -> [String: Any]? {
        all.first { $0["key"] as? String == key && $0["address"] != nil }
    }

    /// Why an entry is skipped.
    func reason(ofKey key: String) -> String? {
        all.first { $0["key"] as? String == key && Self.isSkipped($0) }?["reason"] as? String
    }

    /// Entries that are skipped.
    var skipped: Int { all.count(where: Self.isSkipped) }

    /// What an instance has as well is the reason of its verdict.
    private static func isSkipped(_ object: [String: Any]) -> Bool {
        object["reason"] is String && object["address"] == nil
    }

    /// Keys that a proxy holds.
    var heldKeys: Set<String> {
        Set(
            all.filter { object in
                object["held"] as? Bool == true || (object["held"] as? [Any])?.isEmpty == false
            }.compactMap { $0["key"] as? String })
    }
}
