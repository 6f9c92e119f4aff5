// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Users with passwords: tokens that end, and servers that forget them.
@Suite(.tags(.integration), .untilHung)
struct EtcdTokenTests {
    private static let address = Endpoint(.loopbackV4, port: 6379)
    /// What one token that is over may cost.
    private static let gap = Duration.seconds(1)

    @Test(.row("F13"), arguments: EtcdProcess.Version.allCases)
    func goesOnWhenItsTokenHasEnded(version: EtcdProcess.Version) async throws {
        try await withEtcdUsers(version, tokenSeconds: 2) { scene in
            let user = try await scene.operatorOfAll("legation")
            let registrator = try await scene.register("web", Self.address, as: user, ["--log-level", "trace"])
            let proxy = try await scene.proxy("web", as: user, ["--log-level", "trace"])
            let mirror = try await scene.mirror("/services/", as: user)
            // Nobody shows a token for so long; etcd looks for old ones every second.
            try await Task.sleep(for: .seconds(5))

            // A watch goes on.
            try await scene.root.put("/services/web/by-hand", #"{"port":1,"host":"127.0.0.1"}"#)
            try await mirror.converges("F13: a change after the token's end", with: scene.root, within: Self.gap)
            // A lease lost, so that calls have to be made.
            let lease = try await scene.lease(ofKey: registrator.key)
            try await scene.root.ctl("lease", "revoke", lease)
            let lost = try await registrator.process.firstLine(containing: "lease lost")
            try await eventually("F13: key put again after the token's end", within: Self.gap, since: lost.at) {
                try await !scene.root.table(registrator.key).isEmpty
            }
            try await mirror.converges("F13: the mirror after that", with: scene.root, within: Self.gap)
            // The client has made the refused call again itself.
            try await Self.refused(scene, atLeast: 1)
            #expect(registrator.process.lines(containing: "lease not granted").isEmpty)

            try await Task.sleep(for: .seconds(5))
            let asked = ContinuousClock.now
            try registrator.process.terminate()
            // Drain time 1 s.
            try await eventually("F13: withdrawn after the token's end", within: .seconds(2), since: asked) {
                try await scene.root.table(registrator.key).isEmpty
            }
            #expect(try await registrator.process.end() == .code(0))
            #expect(registrator.process.lines(containing: "could not say draining").isEmpty)
            try await Self.refused(scene, atLeast: 2)
            try await mirror.converges("F13: in the end", with: scene.root, within: Self.gap)
            #expect(mirror.resets.count == 1, "nothing had to be listed anew: \(mirror.resets)")
            try await scene.expectNoSecrets(
                in: registrator.process, proxy.process, mirror.process, of: user, scene.root)
        }
    }

    /// That the fault took place: members have refused calls for their token.
    private static func refused(_ scene: EtcdUserScene, atLeast count: Int) async throws {
        let refusals = try await scene.cluster.members.asyncMap { member in
            try await member.metric("grpc_server_handled_total", "Unauthenticated")
        }
        #expect(refusals.reduce(0, +) >= count, "\(refusals)")
    }

    /// How a cluster forgets its tokens, which each member keeps in memory alone: raft tells all of a new one, but a
    /// member that starts again knows none of those before. An orderly end, so that 3.5.1 may be asked for it too.
    private enum Restart: CaseIterable {
        case none
        case inTurn
        case atOnce
    }

    @Test(.row("F13"), arguments: EtcdProcess.Version.allCases)
    func missesNothingOfAServerThatForgotItsTokens(version: EtcdProcess.Version) async throws {
        try await withEtcdUsers(version) { scene in
            let user = try await scene.operatorOfAll("legation")
            let registrator = try await scene.register("web", Self.address, as: user, ["--log-level", "trace"])
            let mirror = try await scene.mirror("/services/", as: user)
            var revisions: [Int64] = []
            for round in Restart.allCases {
                switch round {
                case .none: break
                case .inTurn: try await scene.cluster.restartInTurn(as: scene.root)
                case .atOnce: try await scene.cluster.restartAtOnce(as: scene.root)
                }
                let served = ContinuousClock.now
                for number in 0..<5 {
                    let key = "/services/other/\(round)-\(number)"
                    try await scene.root.put(key, "{}")
                    revisions.append(try #require(try await scene.root.table(key).first).modRevision)
                }
                // Backoff to 5 s, and 1 s for the new token.
                try await mirror.converges(
                    "F13: restarted \(round) (\(version))", with: scene.root, within: .seconds(6), since: served)
            }
            // Its file may be seen before its lines.
            try await waitFor("lines of all puts") {
                mirror.revisionsOfPuts(below: "/services/other/").count >= revisions.count
            }
            #expect(mirror.revisionsOfPuts(below: "/services/other/") == revisions, "each once, in order")
            #expect(mirror.resets.count == 1, "resumed, not listed anew: \(mirror.resets)")
            #expect(try mirror.state().reconnects >= 2)

            // The lease is kept: longer than it lasts.
            let lease = try await scene.lease(ofKey: registrator.key)
            try await Task.sleep(for: .seconds(6))
            #expect(try await scene.lease(ofKey: registrator.key) == lease)
            try await mirror.converges("F13: after restarts", with: scene.root, within: Self.gap)
            try await scene.cluster.awaitEqualHashes(as: scene.root)
            try await scene.expectNoSecrets(in: registrator.process, mirror.process, of: user, scene.root)
        }
    }

    @Test(.row("F13")) func saysOnceThatAPasswordIsWrongAndGoesOnWhenItIsRight() async throws {
        try await withEtcdUsers { scene in
            let user = try await scene.operatorOfAll("legation")
            try overwrite(user.passwordFile, with: "wr0ng-passw0rd\n")
            let check = try await scene.cluster.runLegation(["check-etcd"] + user.arguments, within: .seconds(60))
            #expect(check.status == .code(1))
            let said = check.output + check.errors
            #expect(said.contains("authentication") && said.contains("legation"), "\(said)")

            let process = try await scene.cluster.startRegister("web", Self.address, user.flags)
            try await process.firstLine(containing: "authentication failed")
            // Asked again after 1 s and after 2 s.
            try await Task.sleep(for: .seconds(4))
            #expect(process.lines(containing: "authentication failed").count == 1)
            try overwrite(user.passwordFile, with: user.password)
            // The pauses grow to half a minute; so far to 4 s.
            try await eventually("F13: registered once the password was right", within: .seconds(8)) {
                try await !scene.root.table("/services/web/").isEmpty
            }
            let mirror = try await scene.mirror("/services/", as: user)
            try await mirror.converges("F13: with the right password", with: scene.root, within: .seconds(1))
            for line in process.lines.map(\.text) + said.split(separator: "\n").map(String.init) {
                #expect(!line.contains("wr0ng") && !line.contains(user.password), "\(line)")
            }
        }
    }
}
