// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// docs/promises.md, "When an instance leaves": each rule, with the time that it took.
@Suite(.tags(.integration), .untilHung)
struct LeavingTests {
    /// What "at once" means: the change is followed like any other.
    private static let atOnce = Duration.milliseconds(250)

    @Test func rule1AnInstanceThatDrainsIsOutOfUseAtOnce() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, ["A", "B"])
            let live = try await blocking { [endpoint = scene.proxy.endpoint] in
                try (0..<2).map { _ in try TCPConnection.connect(to: endpoint) }
            }
            try await scene.put("A", more: #","state":"draining""#)
            try await eventually("rule 1: draining out of use", within: Self.atOnce) {
                try await serves(scene.proxy.endpoint, exactly: ["B"], window: 6)
            }
            // A key that leaves while it drains is no loss either, even as one of two.
            try await scene.etcd.delete(scene.key("A"))
            try await scene.put("B", more: #","state":"draining""#)
            try await eventually("rule 1: the last one drains", within: Self.atOnce) {
                try await isReset(scene.proxy.endpoint)
            }
            for connection in live {
                try await blocking {
                    guard try connection.receiveLine() != nil, try connection.exchange("still") == "still" else {
                        throw Unexpected("a live connection was cut")
                    }
                }
            }
        }
    }

    @Test(.row("F7")) func rule2ADeleteByHandCountsAtOnceEvenOfTheLast() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, ["A"])
            try await scene.etcd.delete(scene.key("A"))
            try await eventually("rule 2: key without a lease deleted", within: Self.atOnce) {
                try await isReset(scene.proxy.endpoint)
            }
            // The pause that makes the next delete one that stands alone.
            try await Task.sleep(for: .milliseconds(2100))
            let lease = try await scene.etcd.grantLease(60)
            try await scene.put("A", lease: lease)
            try await waitFor("A again") { try await servedBy(scene.proxy.endpoint) == "A" }
            try await scene.etcd.delete(scene.key("A"))
            // The lease is asked about once, 1 s at most.
            try await eventually("rule 2: key deleted whose lease lives", within: .seconds(1)) {
                try await isReset(scene.proxy.endpoint)
            }
            try await waitFor("the end of its connections") { scene.backends["A"]?.openConnections == 0 }
        }
    }

    @Test func rule3OneOfManyWhoseLeaseEndsLeavesAtOnce() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, [])
            var leases: [String: String] = [:]
            for name in ["A", "B", "C", "D", "E"] {
                leases[name] = try await scene.etcd.grantLease(60)
                try await scene.add(name, lease: leases[name])
            }
            try await waitFor("all five") {
                try await serves(scene.proxy.endpoint, exactly: ["A", "B", "C", "D", "E"], window: 10)
            }
            try await scene.etcd.ctl("lease", "revoke", try #require(leases["A"]))
            try await eventually("rule 3: one of five gone", within: .seconds(1)) {
                try await serves(scene.proxy.endpoint, exactly: ["B", "C", "D", "E"], window: 8)
            }
        }
    }

    @Test(.row("F7", "R9")) func rule3TheLastOnesAreHeldWhileTheyAcceptAndLeaveWhenTheyRefuse() async throws {
        try await withStage(.waiting) { stage in
            let scene = try await Scene(stage, [])
            let lease = try await scene.etcd.grantLease(60)
            for name in ["A", "B", "C"] { try await scene.add(name, lease: lease) }
            try await waitFor("all three") {
                try await serves(scene.proxy.endpoint, exactly: ["A", "B", "C"], window: 6)
            }
            scene.backends["C"]?.close()
            try await withClientLoop(to: scene.proxy.endpoint) { loop in
                try await scene.etcd.ctl("lease", "revoke", lease)
                // One probe of at most 1 s each, all at once; a refusal is known at once.
                try await eventually("rule 3: held those that accept", within: .seconds(1)) {
                    scene.proxy.count(of: "instance held") == 2
                }
                try await waitFor("their keys") {
                    let answer = try await stage.services(etcd: scene.etcd, ["web"])
                    return answer.heldKeys == [scene.key("A"), scene.key("B")]
                }
                #expect(try await serves(scene.proxy.endpoint, exactly: ["A", "B"], window: 8))
                // Probed every 5 s, dropped at the first refusal.
                let backend = try #require(scene.backends["A"])
                try await loop.betweenRounds { backend.close() }
                try await eventually("rule 3: a held one that refuses is dropped", within: .seconds(6)) {
                    try await stage.services(etcd: scene.etcd, ["web"]).heldKeys == [scene.key("B")]
                }
                #expect(loop.failures.isEmpty)
            }
            scene.backends["B"]?.close()
            try await eventually("rule 3: the last held one dropped", within: .seconds(6)) {
                try await stage.services(etcd: scene.etcd, ["web"]).heldKeys.isEmpty
            }
            #expect(try await isReset(scene.proxy.endpoint))
        }
    }

    @Test func rule3AHeldInstanceIsDroppedAfterTheHold() async throws {
        try await withStage(.waiting) { stage in
            let scene = try await Scene(stage, [], hold: "8s")
            let lease = try await scene.etcd.grantLease(60)
            try await scene.add("A", lease: lease)
            try await waitFor("A") { try await servedBy(scene.proxy.endpoint) == "A" }
            let revoked = ContinuousClock.now
            try await scene.etcd.ctl("lease", "revoke", lease)
            try await Task.sleep(until: revoked + .seconds(6))
            let served = try? await servedBy(scene.proxy.endpoint)
            if ContinuousClock.now - revoked < .seconds(8) { #expect(served == "A", "held for 8 s") }
            try await eventually("rule 3: dropped after a hold of 8 s", within: .seconds(9), since: revoked) {
                try await isReset(scene.proxy.endpoint)
            }
        }
    }

    @Test func rule3WithoutAHoldEverythingLeavesAtOnce() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, [], hold: "0")
            let lease = try await scene.etcd.grantLease(60)
            try await scene.add("A", lease: lease)
            try await waitFor("A") { try await servedBy(scene.proxy.endpoint) == "A" }
            try await scene.etcd.ctl("lease", "revoke", lease)
            try await eventually("rule 3: hold 0", within: .seconds(1)) { try await isReset(scene.proxy.endpoint) }
        }
    }

    /// A wiped prefix is no operator's word: several deletes in one revision.
    @Test(.row("F7")) func rule3AWipedPrefixIsHeld() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, ["A", "B"])
            try await scene.etcd.ctl("del", "--prefix", "/services/")
            try await waitFor("held") {
                try await stage.services(etcd: scene.etcd, ["web"]).heldKeys == [scene.key("A"), scene.key("B")]
            }
            #expect(try await serves(scene.proxy.endpoint, exactly: ["A", "B"], window: 6))
            // What comes back is used as if nothing had been.
            try await scene.put("A")
            try await scene.put("B")
            try await waitFor("no more held") {
                try await stage.services(etcd: scene.etcd, ["web"]).heldKeys.isEmpty
            }
            #expect(try await serves(scene.proxy.endpoint, exactly: ["A", "B"], window: 6))
        }
    }

    /// Its data are lost: it knows nobody, and nobody has deleted anything.
    @Test(.row("F7")) func rule3AnEtcdThatIsEmptyHoldsThem() async throws {
        try await withStage(.waiting) { stage in
            let scene = try await Scene(stage, ["A", "B"])
            let loop = try await withClientLoop(to: scene.proxy.endpoint) { loop in
                try await scene.etcd.stop()
                try scene.etcd.loseData()
                try await scene.etcd.start()
                // It is believed after three listings that are older than what is known, each a second after the last.
                try await waitFor("held", within: .seconds(30)) {
                    try await stage.services(etcd: scene.etcd, ["web"]).heldKeys == [scene.key("A"), scene.key("B")]
                }
                let held = ContinuousClock.now
                try await waitFor("both used") { loop.names(since: held) == ["A", "B"] }
                return loop
            }
            #expect(loop.failures.isEmpty)
            // Whoever registers there is used as if nothing had been.
            for name in ["A", "B"] { try await scene.put(name) }
            try await waitFor("no more held") {
                try await stage.services(etcd: scene.etcd, ["web"]).heldKeys.isEmpty
            }
            #expect(try await serves(scene.proxy.endpoint, exactly: ["A", "B"], window: 6))
        }
    }

    @Test func rule4AValueThatDoesNotParseKeepsTheLastGoodOne() async throws {
        try await withStage { stage in
            let scene = try await Scene(stage, ["A"])
            try await scene.etcd.put(scene.key("A"), "{")
            try await scene.proxy.process.firstLine(containing: scene.key("A"), "json")
            for _ in 0..<5 { #expect(try await servedBy(scene.proxy.endpoint) == "A") }
            try await scene.etcd.delete(scene.key("A"))
            try await eventually("rule 4: gone with its key", within: Self.atOnce) {
                try await isReset(scene.proxy.endpoint)
            }
        }
    }

    @Test func rule4WithoutPermissionNothingLeaves() async throws {
        try await withStage(.waiting) { stage in
            let scene = try await Scene(stage, ["A"])
            for words in [
                ["user", "add", "root:secret"], ["user", "grant-role", "root", "root"], ["auth", "enable"],
            ] {
                let outcome = try await stage.run(
                    Command(
                        "etcdctl", ["--endpoints", scene.etcd.url] + words, environment: ["ETCDCTL_API": "3"]))
                try #require(outcome.succeeded, "\(outcome)")
            }
            // A watch is asked for permission when it is made, so make it anew.
            try await scene.etcd.restart(awaitHealth: false)
            try await waitFor("the proxy to say that it may not", within: .seconds(30)) {
                scene.proxy.process.lines.contains { $0.text.lowercased().contains("permission") }
            }
            for _ in 0..<5 { #expect(try await servedBy(scene.proxy.endpoint) == "A") }
        }
    }

    @Test func rule4WithoutALeaderNothingLeaves() async throws {
        try await withStage(.waiting) { stage in
            let cluster = try await stage.etcdCluster(2)
            let backend = try await stage.backend(Backend.naming("A"))
            let process = try await stage.legation([
                "proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8", "--etcd",
                cluster.map(\.url).joined(separator: ","), "web:0",
            ])
            let proxy = Proxy(process: process, endpoint: try await process.listeningEndpoint())
            let lease = try await cluster[0].grantLease(5)
            try await cluster[0].putInstance("/services/web/a", backend.endpoint, lease: lease)
            try await waitFor("A") { try await servedBy(proxy.endpoint) == "A" }
            let past = try await proxy.pastOutages()
            try await cluster[1].kill()
            let killed = ContinuousClock.now
            // A watch that asks for a leader ends 3 election times after the last (docs/promises.md, "When etcd is in trouble").
            try await eventually("rule 4: no leader noticed", within: .seconds(8), since: killed) {
                proxy.count(of: Proxy.stale) == past + 1
            }
            // Nobody can end the lease without a leader, however long it is over.
            try await Task.sleep(until: killed + .seconds(12))
            for _ in 0..<5 { #expect(try await servedBy(proxy.endpoint) == "A") }
            try await cluster[1].start(awaitHealth: false)
            try await eventually("rule 4: a leader again", within: .seconds(8)) {
                proxy.count(of: Proxy.fresh) == past + 1
            }
        }
    }

    @Test(.row("R9")) func tenRegistratorsKilledOneAfterTheOtherCostNoConnection() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let names = (0..<10).map { "backend-\($0)" }
            var registrators: [RegisterProcess] = []
            for name in names {
                let backend = try await stage.backend(Backend.naming(name))
                registrators.append(try await stage.register("web", backend.endpoint, etcd: etcd))
            }
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await waitFor("all ten") { try await serves(proxy.endpoint, exactly: Set(names), window: 20) }
            let loop = try await withClientLoop(to: proxy.endpoint) { loop in
                let start = ContinuousClock.now
                for (number, registrator) in registrators.enumerated() {
                    try await Task.sleep(until: start + .seconds(number))
                    try registrator.process.kill()
                }
                let lastKilled = ContinuousClock.now
                try await waitFor("all keys gone", within: .seconds(30)) {
                    try await etcd.keys("/services/web/").isEmpty
                }
                // TTL + 0.5 s + 1 s (probe) after the last one.
                try await eventually("ten held after ten kills", within: .milliseconds(6500), since: lastKilled) {
                    try await stage.services(etcd: etcd, ["web"]).heldKeys.count == 10
                }
                let settled = ContinuousClock.now
                try await waitFor("all ten used") { loop.names(since: settled) == Set(names) }
                return loop
            }
            #expect(loop.failures.isEmpty, "of \(loop.rounds.count) connections")
            print("ten registrators killed: \(loop.rounds.count) connections, \(loop.failures.count) failed")
        }
    }
}

/// A service of named backends whose keys were put by hand, and a proxy for it.
private final class Scene {
    let stage: Stage
    let etcd: EtcdProcess
    let proxy: Proxy
    private(set) var backends: [String: Backend] = [:]

    /// All of `names` are in use when it returns.
    init(_ stage: Stage, _ names: [String], hold: String = "60s") async throws {
        self.stage = stage
        let etcd = try await stage.etcd()
        self.etcd = etcd
        proxy = try await stage.proxy("web", etcd: etcd, ["--hold", hold])
        for name in names { try await add(name) }
        let endpoint = proxy.endpoint
        guard !names.isEmpty else { return }
        try await waitFor("all of \(names)") {
            try await serves(endpoint, exactly: Set(names), window: names.count * 2)
        }
    }

    func key(_ name: String) -> String { "/services/web/\(name)" }

    /// A new backend and its key.
    func add(_ name: String, lease: String? = nil) async throws {
        backends[name] = try await stage.backend(Backend.naming(name))
        try await put(name, lease: lease)
    }

    func put(_ name: String, lease: String? = nil, more: String = "") async throws {
        let backend = try #require(backends[name])
        try await etcd.putInstance(key(name), backend.endpoint, lease: lease, more: more)
    }
}
