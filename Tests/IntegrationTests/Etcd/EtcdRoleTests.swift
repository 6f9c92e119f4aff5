// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What etcd's roles allow, and what happens when they allow less.
@Suite(.tags(.integration), .untilHung)
struct EtcdRoleTests {
    private static let refused = "registry not readable; what is known is kept"

    @Test(.row("F14"), arguments: EtcdProcess.Version.allCases)
    func aPermissionRevokedUnderAWatchFreezesWhatIsKnown(version: EtcdProcess.Version) async throws {
        try await withEtcdUsers(version, load: .waiting) { scene in
            let reader = try await scene.root.makeUser(
                "reader", [(.read, "/services/"), (.read, "/services-overrides/"), (.readwrite, "/services-holds/")])
            let backends = try await ["A", "B"].asyncMap { try await scene.cluster.backend($0) }
            try await scene.root.putInstance("/services/web/a", backends[0].endpoint)
            try await scene.root.putInstance("/services/web/b", backends[1].endpoint)
            // What is gone from a listing would be held for a while longer.
            let proxy = try await scene.proxy("web", as: reader, ["--hold", "0s"])
            let mirror = try await scene.mirror("/services/web/", as: reader)
            try await waitFor("both") { try await scene.cluster.names(behind: proxy) == ["A", "B"] }

            try await scene.root.revoke("/services/", from: "reader")
            for member in scene.cluster.members {
                let denied = try await reader.asking(member).control(["get", "--prefix", "/services/"])
                #expect(!denied.succeeded && denied.errors.contains("permission denied"), "\(denied)")
            }
            // A watch that stands is not asked again for its permission; one that is made anew is, on whichever member.
            try await scene.cluster.restartInTurn(as: scene.root)
            try await scene.root.ctl("del", "/services/web/a")
            try await proxy.process.firstLine(containing: Self.refused)
            try await mirror.process.firstLine(containing: "permission denied")
            let frozen = ContinuousClock.now
            try await Task.sleep(until: frozen + .seconds(5))
            #expect(try mirror.state().entries.map(\.key) == ["/services/web/a", "/services/web/b"])
            #expect(try await scene.cluster.names(behind: proxy) == ["A", "B"])
            #expect(proxy.count(of: Self.refused) == 1, "said once: \(proxy.process.lastLines())")
            #expect(mirror.resets.count == 1)

            try await scene.root.grant(.read, "/services/", to: "reader")
            let granted = ContinuousClock.now
            try await mirror.converges("F14: after the grant", with: scene.root, within: .seconds(6), since: granted)
            // Asked again every 30 s, give or take a fifth: an operator has to mend it.
            try await eventually("F14: the proxy after the grant (\(version))", within: .seconds(36), since: granted) {
                try await scene.cluster.names(behind: proxy) == ["B"]
            }
            try await proxy.process.firstLine(containing: "registry readable again")
            #expect(proxy.count(of: "registry readable again") == 1)
            try await scene.cluster.awaitEqualHashes(as: scene.root)
        }
    }

    @Test(.row("S4"), arguments: EtcdProcess.Version.allCases)
    func nobodyRevokesTheLeaseOfAnothersKeys(version: EtcdProcess.Version) async throws {
        try await withEtcdUsers(version) { scene in
            // Its own keys and no others, and who else registers for its host.
            let alice = try await scene.root.makeUser(
                "alice", [(.readwrite, "/services/web/hostA:"), (.readwrite, "/services-nodes/hostA/")])
            let bob = try await scene.root.makeUser(
                "bob", [(.readwrite, "/services/web/hostB:"), (.readwrite, "/services-nodes/hostB/")])
            let registrator = try await scene.register("web", Endpoint(.loopbackV4, port: 6379), as: alice)
            let mirror = try await scene.mirror("/services/web/hostA:", as: alice)
            let lease = try await scene.lease(ofKey: registrator.key)
            for member in scene.cluster.members {
                let revoke = try await bob.asking(member).control(["lease", "revoke", lease])
                #expect(!revoke.succeeded && revoke.errors.contains("permission denied"), "\(revoke)")
            }
            try await mirror.converges("S4: after what another tried", with: scene.root, within: .seconds(1))
            let rewrite = try await bob.control(["put", registrator.key, "{}"])
            #expect(!rewrite.succeeded && rewrite.errors.contains("permission denied"), "\(rewrite)")
            #expect(try await scene.lease(ofKey: registrator.key) == lease)
            #expect(registrator.process.lines(containing: "lease lost").isEmpty)
            // Every lease that there is has keys, and so an owner.
            for line in try await scene.root.ctl("lease", "list").split(separator: "\n").dropFirst() {
                let keys = try await scene.root.ctl("lease", "timetolive", String(line), "--keys")
                #expect(keys.contains("/services/") && keys.contains("/services-nodes/"), "\(keys)")
            }
            try registrator.process.terminate()
            #expect(try await registrator.process.end() == .code(0))
            #expect(try await scene.root.table("/services").isEmpty)
            try await mirror.converges("S4: in the end", with: scene.root, within: .seconds(1))
        }
    }

    /// The roles of docs/etcd.md, one for each job.
    @Test func eachCommandNeedsNoMoreThanItsRole() async throws {
        // The newest, in which the fewest questions are open to everybody.
        try await withEtcdUsers(EtcdProcess.Version.allCases.last) { scene in
            let backend = try await scene.cluster.backend("A")
            let writer = try await scene.root.makeUser(
                "writer", [(.readwrite, "/services/"), (.readwrite, "/services-nodes/")])
            let reader = try await scene.root.makeUser(
                "reader", [(.read, "/services/"), (.read, "/services-overrides/"), (.readwrite, "/services-holds/")])
            let viewer = try await scene.root.makeUser(
                "viewer",
                [
                    (.read, "/services/"), (.read, "/services-nodes/"), (.read, "/services-holds/"),
                    (.read, "/services-overrides/"),
                ])
            let registrator = try await scene.register("web", backend.endpoint, as: writer)
            let proxy = try await scene.proxy("web", as: reader)
            try await waitFor("served") { try await scene.cluster.names(behind: proxy) == ["A"] }
            for command in ["services", "nodes"] {
                let outcome = try await scene.cluster.runLegation([command, "--json"] + viewer.arguments)
                #expect(outcome.succeeded && outcome.output.contains("hostA"), "\(outcome)")
            }
            let mirror = try await scene.mirror("/services/", as: viewer)
            try await mirror.converges("a viewer's mirror", with: scene.root, within: .seconds(1))
            let check = try await scene.cluster.runLegation(["check-etcd"] + viewer.arguments)
            #expect(check.output.contains("lease"), "\(check)")
            for process in [registrator.process, proxy.process] {
                #expect(process.lines(containing: "denied").isEmpty, "\(process.lastLines())")
            }
        }
    }

    @Test(.row("S5")) func aDaemonWithAUserWarnsOfAnOldEtcdOnce() async throws {
        try await withEtcdCluster(more: EtcdUserScene.arguments) { cluster in
            let warning = "etcd's roles cannot be relied on"
            let backend = try await cluster.backend("A")
            let plain = try await cluster.register("web", backend.endpoint, node: "hostB")
            try await plain.process.firstLine(containing: "registered")
            #expect(plain.process.lines(containing: warning).isEmpty, "nobody relies on roles there")
            try plain.process.terminate()
            try await plain.process.end()

            let scene = try await EtcdUserScene(on: cluster)
            let user = try await scene.operatorOfAll("legation")
            let registrator = try await scene.register("web", backend.endpoint, as: user)
            let proxy = try await scene.proxy("web", as: user)
            let mirror = try await scene.mirror("/services/", as: user)
            for process in [registrator.process, proxy.process] {
                let line = try await process.firstLine(containing: warning)
                #expect(line.text.contains("warning") && line.text.contains("3.5.33"), "\(line.text)")
            }
            let before = registrator.process.lines.count
            // Each of them is of that version.
            try await cluster.restartInTurn(as: scene.root)
            try await scene.root.ctl("lease", "revoke", scene.lease(ofKey: registrator.key))
            _ = try await registrator.process.firstLine(containing: "lease lost", after: before)
            // Backoff to 5 s.
            try await mirror.converges("S5: in the end", with: scene.root, within: .seconds(5))
            for process in [registrator.process, proxy.process] {
                #expect(process.lines(containing: warning).count == 1)
            }
        }
    }
}
