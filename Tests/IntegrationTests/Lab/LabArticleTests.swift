// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `make demo-article`: the article of 2014 by its own units, on two hosts. It asserts what it prints.
@Suite(.tags(.integration), .untilHung)
struct LabArticleTests {
    @Test(arguments: ["link", "network"])
    func theArticleIsTrue(form: String) async throws {
        try await withStage(.lab) { stage in
            let begun = ContinuousClock.now
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo-article", [form],
                    environment: ["LEGATION_BINARY": try LegationBinary.path], grace: .seconds(10)))
            #expect(try await demo.end(within: .seconds(600)) == .code(0), "\(demo.output)")
            report(.now - begun, "the article by \(form), beside every other test", promise: .seconds(60))
            #expect(demo.leftBehind.isEmpty)
            try Self.check(demo.output, form: form)
        }
    }

    /// What the demo prints is what it saw: each claim of the article is looked for among it once more.
    private static func check(_ output: String, form: String) throws {
        let key = #/in etcd: /services/redis-A/redis-demo\.service\n.*"host":"10\.77\.0\.1","port":([0-9]+)/#
        let published = #/docker port redis-demo\.service 6379: 10\.77\.0\.1:([0-9]+)/#
        #expect(try #require(output.firstMatch(of: key)).1 == #require(output.firstMatch(of: published)).1)

        let variable = #/REDIS_PORT_6379_TCP_ADDR=172\.[0-9.]+\n/#
        #expect((output.firstMatch(of: variable) != nil) == (form == "link"))
        #expect(output.contains("link variables: none; the name redis is an alias") == (form == "network"))
        #expect(output.contains(#"found etcd: by="link variables""#) == (form == "link"), "\(output)")
        #expect(output.contains(#"found etcd: by="host name etcd""#) == (form == "network"), "\(output)")
        #expect(output.contains(#/redis-cli -h \S+ ping: PONG\n/#))
        let answered = try #require(
            output.firstMatch(of: #/run_id ([0-9a-f]{40}); host A's Redis: run_id ([0-9a-f]{40})/#))
        #expect(answered.1 == answered.2)

        let shares = output.matches(of: #/of ([0-9]+) new connections: ([0-9 ]+); 0 errors/#)
        #expect(
            shares.map { $0.2.split(separator: " ").count } == [2, 2, 3, 3], "two, two again, with the key by hand")
        for share in shares {
            let parts = share.2.split(separator: " ").compactMap { Int($0) }
            #expect(
                parts.reduce(0, +) == Int(share.1) && parts.allSatisfy { $0 * parts.count * 2 > parts.reduce(0, +) })
        }
        let survivors = try #require(
            output.firstMatch(of: #/([0-9]+) new connections since, ([0-9]+) by the second Redis; 0 errors/#))
        #expect(survivors.1 == survivors.2)
        #expect(output.contains("of them by host B's Redis: 0\n"), "traffic followed the changed key")
        #expect(output.contains(#/after etcdctl del: [0-9]+ new connections, by what the key named 0; 0 errors/#))
        #expect(output.contains("keys left in etcd: none\n"))
        #expect(output.contains("Scripts/lab down: status 0; processes left running: none\n"))
    }

    @Test(arguments: ["register"])
    func aBrokenArticleIsNoticed(part: String) async throws {
        try await withStage(.lab) { stage in
            let demo = try await stage.start(
                Command(
                    "\(PackageRoot.path)/Scripts/demo-article", ["link"],
                    environment: ["BREAK": part, "LEGATION_BINARY": try LegationBinary.path], grace: .seconds(10)))
            let status = try await demo.end(within: .seconds(600))
            #expect(status == .code(1), "\(demo.lastLines())")
            #expect(demo.output.contains("BREAK: ") && demo.output.contains("NOT TRUE: "), "\(demo.lastLines())")
            #expect(demo.leftBehind.isEmpty)
        }
    }
}
