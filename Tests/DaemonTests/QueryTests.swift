// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Discovery
import Etcd
import Registry
import ServiceModel
import Testing

private func entry(_ key: String, _ value: String, lease: Int64? = nil) -> RegistryEntry {
    RegistryEntry(key: key, value: Array(value.utf8), modRevision: 5, lease: lease.map { RegistryLease($0) })
}

private func text(_ object: JSONObject) -> String { String(decoding: object.encoded(), as: UTF8.self) }

@Suite struct TextTableTests {
    @Test func alignsColumnsAndEscapesCells() {
        var table = TextTable(["A", "LONGER", "C"])
        table.add(["wide cell", "", "x"])
        table.add(["b", "two\nlines", ""])
        #expect(
            table.text == """
                A          LONGER      C
                wide cell  -           x
                b          two\\nlines  -

                """)
    }
}

@Suite struct EtcdFindingsTests {
    private func findings(_ url: String, _ status: Result<MemberStatus, EtcdError>) throws -> EtcdFindings {
        var findings = EtcdFindings()
        findings.endpoints = [.init(endpoint: try #require(EtcdEndpoint(url)), status: status)]
        return findings
    }

    @Test func failsWithAnEndpointOrACheck() throws {
        let error = EtcdError(.unavailable, "nobody there")
        var findings = try findings("http://127.0.0.1:1", .failure(error))
        #expect(!findings.isOK)
        #expect(findings.text.contains("endpoint http://127.0.0.1:1  failed  unavailable: nobody there"))
        #expect(
            text(findings.json).hasPrefix(#"{"ok":false,"endpoints":[{"endpoint":"http://127.0.0.1:1","ok":false,"#))
        findings.endpoints = []
        findings.steps = [.init("lease grant", isOK: true, "1")]
        #expect(findings.isOK)
        findings.steps.append(.init("lease revoke", isOK: false, "gone"))
        #expect(!findings.isOK)
    }

    @Test(arguments: [
        ("http://10.0.0.1:2379", true), ("http://etcd:2379", true), ("https://10.0.0.1:2379", false),
        ("http://127.0.0.1:2379", false), ("http://[::1]:2379", false), ("http://localhost:2379", false),
    ])
    func warnsOfPlainHTTPAwayFromThisHost(url: String, warns: Bool) throws {
        let findings = try findings(url, .failure(EtcdError(.unavailable, "x")))
        #expect(findings.warnings.contains { $0.contains("TLS") } == warns)
    }
}

@Suite struct NodesReportTests {
    private let value = #"{"v":1,"node":"hostA","address":"10.0.0.1","version":"0.1.0","boot":"b","since":"s"}"#

    private func report() throws -> NodesReport {
        let listing = RegistryListing(
            revision: 9,
            entries: [
                entry("/services-nodes/hostA/p1", value, lease: 7), entry("/services-nodes/hostA/p2", "{}"),
                entry("/services-nodes/lost", value),
            ])
        let instances = RegistryListing(
            revision: 9,
            entries: [
                entry("/services/a/1", "{}", lease: 7), entry("/services/b/1", "{}", lease: 7),
                entry("/services/c/1", "{}", lease: 8), entry("/services/d/1", "{}"),
            ])
        return NodesReport(listing, instances: instances, layout: try #require(KeyLayout(prefix: "/services")))
    }

    @Test func showsEachRegistratorWithItsLease() throws {
        let report = try report()
        #expect(report.leases == [RegistryLease(7)])
        let lines = report.text(remaining: [RegistryLease(7): .seconds(8)]).split(separator: "\n")
        #expect(lines[1] == "hostA  p1       10.0.0.1  -     0.1.0    b     s      8s          2          -")
    }

    @Test func showsWhatItCannotReadWithTheReason() throws {
        let report = try report()
        #expect(report.skipped.map(\.key) == ["/services-nodes/hostA/p2", "/services-nodes/lost"])
        #expect(report.skipped.map(\.reason) == [.field, .key])
        #expect(report.text(remaining: [:]).contains("/services-nodes/lost      key"))
    }

    /// The same name on two machines: their registrators would take each other's keys.
    @Test func warnsOfTwoHostsWithOneName() throws {
        let other = value.replacing(#""boot":"b""#, with: #""boot":"c""#)
        let listing = RegistryListing(
            revision: 9,
            entries: [
                entry("/services-nodes/hostA/p1", value), entry("/services-nodes/hostA/p2", other),
                entry("/services-nodes/hostB/p3", value.replacing("hostA", with: "hostB")),
            ])
        let report = NodesReport(listing, instances: RegistryListing(revision: 9, entries: []), layout: .standard)
        let warning = "two hosts call themselves hostA"
        #expect(report.rows.map(\.warning) == [warning, warning, nil])
    }

    @Test func hasStableKeysInItsJSON() throws {
        let json = text(try report().json(remaining: [RegistryLease(7): .milliseconds(8900)]))
        #expect(
            json.hasPrefix(
                #"{"prefix":"/services","revision":9,"nodes":[{"node":"hostA","process":"p1","address":"10.0.0.1","zone":null,"#
                    + #""version":"0.1.0","boot":"b","since":"s","lease":"7","leaseSeconds":8,"instances":2,"warning":null}],"skipped":[{"key":"#
            ))
    }
}

@Suite struct ServicesReportTests {
    private let hold = #"{"v":1,"host":"10.0.0.9","port":3,"node":"hostP","since":"s","until":"u"}"#

    private func report(only: String? = nil, rules: [TargetPolicy.Rule] = []) throws -> ServicesReport {
        let listing = RegistryListing(
            revision: 9,
            entries: [
                entry("/services/a/bad", "{"),
                entry("/services/a/i1", #"{"host":"10.0.0.1","port":1,"node":"hostA","since":"t"}"#, lease: 7),
                entry("/services/a/i2", #"{"host":"10.0.0.2","port":2,"state":"draining"}"#),
                entry("/services/a/loop", #"{"host":"127.0.0.1","port":2}"#),
                entry("/services/a/sub/i", #"{"host":"10.0.0.3","port":2}"#),
                entry("/services/a/\u{FFFD}", "{}"),
                entry("/services/bare", "{}"),
            ])
        let holds = RegistryListing(revision: 9, entries: [entry("/services-holds/b/gone/p9", hold, lease: 8)])
        let word = #"{"weight":7,"by":"alice","since":"s"}"#
        let overrides = RegistryListing(
            revision: 9,
            entries: [entry("/services-overrides/a/i1", word), entry("/services-overrides/a/i2", "{}")])
        return ServicesReport(
            listing, holds: holds, overrides: overrides,
            health: RegistryHealth(revision: 9, reconnects: 1, cluster: "c1", version: "3.4.23"),
            layout: try #require(KeyLayout(prefix: "/services")),
            view: LinkView(policy: TargetPolicy(rules: rules)), only: only.flatMap { ServiceName($0) })
    }

    @Test func showsInstancesHoldsAndSkippedEntries() throws {
        let report = try report()
        #expect(report.services.map(\.name.description) == ["a", "a/sub", "b"])
        #expect(report.services[0].rows.map(\.state) == [.up, .draining])
        #expect(report.services[0].skipped.map(\.reason) == [.json, .loopback])
        #expect(report.services[2].rows.map(\.state) == [.held])
        #expect(
            report.skipped.map(\.key) == ["/services/a/\u{FFFD}", "/services/bare", "/services-overrides/a/i2"])
        #expect(report.services[0].rows.map(\.weight) == [7, 100])
        let shown = report.text(remaining: [RegistryLease(7): .seconds(4)])
        #expect(
            shown.contains(
                "a        /services/a/i1     10.0.0.1:1  up        used                hostA  t      4s          -         weight 7 by alice since s\n"
            ))
        #expect(
            shown.contains(
                "b        /services/b/gone   10.0.0.9:3  held      used: held          -      -      -           hostP/p9  -\n"
            ))
        #expect(shown.contains("/services/a/loop          loopback"))
        #expect(shown.hasSuffix("\n\nknowledge: revision 9 of cluster c1, no answer yet, 1 reconnects\n"))
    }

    @Test func showsOneServiceOnlyWhenAsked() throws {
        let report = try report(only: "a")
        #expect(report.services.map(\.name.description) == ["a"])
        // What is nobody's, and stands among its own.
        #expect(report.skipped.map(\.key) == ["/services/a/\u{FFFD}", "/services-overrides/a/i2"])
        #expect(try self.report(only: "b").skipped.isEmpty)
    }

    @Test func seesWhatAProxyWithTheSameRulesSees() throws {
        let rule = try #require(TargetPolicy.Rule("127.0.0.0/8"))
        #expect(try report(only: "a", rules: [rule]).services[0].rows.count == 3)
    }

    @Test func hasStableKeysInItsJSON() throws {
        let json = text(try report(only: "a").json(remaining: [RegistryLease(7): .seconds(4)]))
        let begin = #"""
            {"prefix":"/services","layout":"service-first","revision":9,"services":[{"service":"a","instances":[\#
            {"key":"/services/a/i1","address":"10.0.0.1:1","state":"up","verdict":"used","reason":null,"node":"hostA",\#
            "since":"t","weight":7,"lease":"7","leaseSeconds":4,"held":false,"heldBy":[],\#
            "override":{"v":1,"weight":7,"by":"alice","since":"s"}},
            """#
        #expect(json.hasPrefix(begin))
        #expect(json.contains(#""skipped":[{"key":"/services/a/bad","reason":"json","detail":""#))
        let end = #"""
            }],"knowledge":{"cluster":"c1","version":"3.4.23","revision":9,"lastContactMilliseconds":null,\#
            "staleMilliseconds":null,"reconnects":1,"relists":0,"resyncs":0,"drift":0}}
            """#
        #expect(json.hasSuffix(end))
    }
}
