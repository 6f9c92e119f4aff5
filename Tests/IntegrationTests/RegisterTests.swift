// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A registrator's promises about its key.
@Suite(.tags(.integration), .untilHung)
struct RegisterTests {
    private static let address = Endpoint(.loopbackV4, port: 6379)

    @Test(arguments: EtcdProcess.Version.allCases)
    func publishesItsAddressAndPresence(version: EtcdProcess.Version) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(version)
            let more = ["--zone", "z1", "weight=50", "version=7.0"]
            let process = try await stage.legation(
                stage.registerArguments("redis-A", Self.address, etcd: etcd) + Array(more[2...]) + Array(more[..<2]))
            let key = try await waitForValue("key") { try await etcd.keys("/services/").first }
            #expect(key.key == "/services/redis-A/hostA:127.0.0.1:6379")
            #expect(key.json["host"] as? String == "127.0.0.1" && key.json["port"] as? Int == 6379)
            #expect(key.json["weight"] as? Int == 50 && key.json["node"] as? String == "hostA")
            #expect((key.json["meta"] as? [String: Any])?["version"] as? String == "7.0")
            #expect(key.json["state"] as? String == "up" && key.json["v"] as? Int == 1)
            let presence = try #require(try await etcd.keys("/services-nodes/hostA/").first)
            #expect(presence.lease == key.lease && key.lease != 0)
            #expect(presence.json["zone"] as? String == "z1" && presence.json["boot"] is String)
            try await process.firstLine(containing: "registered", key.key)
        }
    }

    @Test(.row("R9")) func aKilledRegistratorsKeyGoesWithItsLease() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("redis-A", Self.address, etcd: etcd)
            try await etcd.withChanges("/services") { changes in
                let killed = ContinuousClock.now
                try registrator.process.kill()
                // TTL 5 s and a second; with the keepalive's age the lease may end earlier.
                let promise = Duration.seconds(6)
                let gone = try await changes.deletion(of: registrator.key, within: promise * 3)
                report(gone.at - killed, "key gone after kill -9", promise: promise)
                #expect(gone.at - killed > .seconds(1))
                #expect(try await etcd.keys("/services").isEmpty, "the presence key went with it")
            }
        }
    }

    @Test(.row("R9")) func withdrawsOnSIGTERM() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("redis-A", Self.address, etcd: etcd, ["--drain-time", "1s"])
            let before = try #require(try await etcd.key(registrator.key))
            try await etcd.withChanges("/services") { changes in
                let asked = ContinuousClock.now
                try registrator.process.terminate()
                let draining = try await changes.first("draining") { $0.key.json["state"] as? String == "draining" }
                report(draining.at - asked, "draining after SIGTERM", promise: .milliseconds(300))
                #expect(draining.at - asked < .seconds(2))
                #expect(draining.key.lease == before.lease, "it still hangs on the lease")
                let gone = try await changes.deletion(of: registrator.key)
                report(gone.at - asked, "key gone after SIGTERM", promise: .seconds(2))
                // Since SIGTERM: an observer may see `draining` late, but never the deletion early.
                #expect(gone.at - asked >= .seconds(1), "not before the drain time was over")
                #expect(gone.at - asked < .seconds(6))
            }
            #expect(try await registrator.process.end() == .code(0))
            #expect(registrator.process.lines(containing: "withdrawn", registrator.key).count == 1)
            #expect(try await etcd.keys("/services").isEmpty)
            #expect(try await etcd.ctl("lease", "list").contains("found 0 leases"))
        }
    }

    @Test func waitsForAnEtcdThatIsDownAtStart() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(start: false)
            let process = try await stage.legation(stage.registerArguments("redis-A", Self.address, etcd: etcd))
            try await process.firstLine(containing: "waiting for the registry")
            try await etcd.start()
            // The longest pause between two attempts is 5 s (docs/promises.md, "When etcd is in trouble").
            try await eventually("registered after etcd came", within: .seconds(6)) {
                try await etcd.keys("/services/redis-A/").count == 1
            }
            #expect(process.lines(containing: "waiting for the registry").count == 1)
            #expect(process.exitStatus == nil)
        }
    }

    @Test(arguments: EtcdProcess.Version.allCases)
    func everythingIsBackAfterEtcdRestarted(version: EtcdProcess.Version) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(version)
            let backend = try await stage.backend(Backend.naming("A"))
            let registrator = try await stage.register("web", backend.endpoint, etcd: etcd)
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await etcd.kill()
            #expect(try await servedBy(proxy.endpoint) == "A")
            try await etcd.start()
            let other = try await stage.backend(Backend.naming("B"))
            try await etcd.putInstance("/services/web/by-hand", other.endpoint)
            try await eventually("followed after etcd's restart (\(version))", within: .seconds(6)) {
                try await serves(proxy.endpoint, exactly: ["A", "B"], window: 4)
            }
            // The lease of before, or another if etcd was away for longer than that lived: longer than its 5 s it stands.
            var (lease, since) = (Int64(0), ContinuousClock.now)
            try await waitFor("a lease that is kept", within: .seconds(60)) {
                let found = try await etcd.key(registrator.key)?.lease ?? 0
                if found != lease { (lease, since) = (found, .now) }
                return lease != 0 && ContinuousClock.now - since > .seconds(6)
            }
            #expect(registrator.process.exitStatus == nil && proxy.process.exitStatus == nil)
        }
    }

    @Test func comesBackAfterEtcdLostEverything() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("web", Self.address, etcd: etcd)
            let lease = try #require(try await etcd.key(registrator.key)).lease
            try await etcd.ctl("lease", "revoke", String(UInt64(bitPattern: lease), radix: 16))
            let revoked = ContinuousClock.now
            // Noticed by the next keepalive, a third of the TTL later; written again within 1 s of that (docs/promises.md, "Registration").
            try await eventually("key back after its lease was revoked", within: .seconds(3), since: revoked) {
                try await etcd.key(registrator.key) != nil
            }
            #expect(try await etcd.key(registrator.key)?.lease != lease)
            // What a process wrote before it put the key may be read after the key.
            try await registrator.process.firstLine(containing: "lease lost")
            #expect(registrator.process.lines(containing: "lease lost").count == 1)
        }
    }

    @Test func twoNodesWithTheSameAddressAndServiceBothServe() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            // The same port on two hosts, for which two loopback addresses stand.
            let one = try await stage.backend(Backend.naming("A"))
            let hostB = try #require(IPAddress("127.0.0.2"))
            let two = try await stage.backend(on: hostB, port: one.endpoint.port, Backend.naming("B"))
            _ = try await stage.register("web", one.endpoint, etcd: etcd, node: "hostA")
            _ = try await stage.register("web", two.endpoint, etcd: etcd, node: "hostB")
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await waitFor("both serve") { try await serves(proxy.endpoint, exactly: ["A", "B"], window: 6) }
            #expect(try await etcd.keys("/services/web/").count == 2)
        }
    }

    /// Upkeep comes every 30 s.
    @Test func putsBackAKeyThatSomebodyChanged() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("web", Self.address, etcd: etcd)
            let own = try #require(try await etcd.key(registrator.key))
            let gone = try await stage.register("web", Endpoint(.loopbackV4, port: 6380), etcd: etcd, node: "hostB")
            let start = ContinuousClock.now
            try await etcd.put(own.key, #"{"host":"127.0.0.1","port":1}"#)
            try await etcd.delete(gone.key)
            try await eventually("changed key put back", within: .seconds(31), since: start) {
                let now = try await etcd.key(own.key)
                return now?.value == own.value && now?.lease == own.lease
            }
            try await eventually("deleted key put back", within: .seconds(31), since: start) {
                try await etcd.key(gone.key) != nil
            }
            try await registrator.process.firstLine(containing: "changed by somebody else")
            #expect(registrator.process.lines(containing: "changed by somebody else").count == 1)
        }
    }
}
