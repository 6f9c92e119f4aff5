// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `--drain-timeout`: how long connections to an instance that has left may go on (D14). Without it, for as long as they like:
/// `connectionsOutliveTheKeyOfTheirInstance`.
@Suite(.tags(.integration), .untilHung)
struct DrainTimeoutTests {
    /// A proxy to A and B, with two connections to each.
    private struct Scene {
        let stage: Stage
        let etcd: EtcdProcess
        let proxy: Proxy
        let backends: [String: Backend]
        let lives: [Live]

        func lives(_ name: String) -> [Live] { lives.filter { $0.name == name } }

        func put(_ name: String) async throws {
            let backend = try #require(backends[name])
            try await etcd.putInstance(key(name), backend.endpoint)
        }

        func key(_ name: String) -> String { "/services/web/\(name)" }

        func only(_ names: Set<String>) async throws {
            try await waitFor("\(names) alone") { try await serves(proxy.endpoint, exactly: names, window: 4) }
        }
    }

    private func withScene(_ flags: [String], _ body: (Scene) async throws -> Void) async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            var backends: [String: Backend] = [:]
            for name in ["A", "B"] {
                let backend = try await stage.backend(Backend.naming(name))
                backends[name] = backend
                try await etcd.putInstance("/services/web/\(name)", backend.endpoint)
            }
            // With two, whose turns are their own, four clients may be three and one.
            let proxy = try await stage.proxy("web", etcd: etcd, flags + ["--workers", "1"])
            try await waitFor("both") { try await serves(proxy.endpoint, exactly: ["A", "B"], window: 4) }
            let lives = try await (0..<4).asyncMap { _ in try await Live(proxy.endpoint) }
            #expect(lives.count { $0.name == "A" } == 2)
            try await body(Scene(stage: stage, etcd: etcd, proxy: proxy, backends: backends, lives: lives))
        }
    }

    @Test(.row("D14"), arguments: [false, true])
    func connectionsEndWhenTheTimeOfTheirInstanceIsOver(byAnOperator: Bool) async throws {
        try await withScene(["--drain-timeout", "3s"]) { scene in
            let left = ContinuousClock.now
            if byAnOperator {
                let words = ["drain"] + scene.etcd.arguments + ["web", "A"]
                #expect(try await scene.stage.runLegation(words).succeeded)
            } else {
                try await scene.etcd.delete(scene.key("A"))
            }
            // Its time begins between the two.
            let gone = ContinuousClock.now
            try await scene.only(["B"])
            for live in scene.lives("A") {
                let goesOn = try? await live.goesOn()
                if ContinuousClock.now - left < .seconds(3) { #expect(goesOn == true, "it has time left") }
            }
            for live in scene.lives("A") {
                #expect(try await live.isReset())
                let ended = ContinuousClock.now - left
                report(ended, "connections of an instance that left are reset", promise: .seconds(3))
                #expect(ended > .seconds(3) && ContinuousClock.now - gone < .seconds(9))
            }
            try await waitFor("the instance is let go of") { scene.backends["A"]?.openConnections == 0 }
            for live in scene.lives("B") { #expect(try await live.goesOn()) }
            // Said when it is done.
            let reset = "connections to instances that had left are reset"
            try await scene.proxy.process.firstLine(containing: reset)
            #expect(scene.proxy.count(of: "connections to instances that have left are given some time") == 1)
            #expect(scene.proxy.count(of: reset) == 1)
        }
    }

    /// Neither does anybody whose registry is silent.
    @Test(.row("D14")) func whoIsBackInTimeLosesNothing() async throws {
        try await withScene(["--drain-timeout", "8s", "--on-loss", "fail", "--hold", "0"]) { scene in
            let left = ContinuousClock.now
            try await scene.etcd.delete(scene.key("A"))
            try await scene.only(["B"])
            try await scene.put("A")
            try await scene.only(["A", "B"])
            try #require(ContinuousClock.now - left < .seconds(8), "back in time")
            // B's time is the clock: it runs from later on, so A's would have been over long before.
            try await scene.etcd.delete(scene.key("B"))
            for live in scene.lives("B") { #expect(try await live.isReset()) }
            for live in scene.lives("A") { #expect(try await live.goesOn()) }
            try await scene.etcd.stop()
            try await waitFor("nobody is believed in") { try await isReset(scene.proxy.endpoint) }
            let silent = ContinuousClock.now
            try await waitFor("longer than that time") { ContinuousClock.now - silent > .seconds(9) }
            for live in scene.lives("A") { #expect(try await live.goesOn()) }
        }
    }

    /// Who is back could not be seen.
    @Test(.row("D14")) func timeBeginsAnewWhileEtcdIsSilent() async throws {
        try await withScene(["--drain-timeout", "15s"]) { scene in
            let leaving = ContinuousClock.now
            try await scene.etcd.delete(scene.key("A"))
            let left = ContinuousClock.now
            try await scene.only(["B"])
            try await scene.etcd.stop()
            try await scene.proxy.process.firstLine(containing: Proxy.stale)
            try #require(ContinuousClock.now - leaving < .seconds(15), "silent in time")
            try await waitFor("longer than that time") { ContinuousClock.now - left > .seconds(17) }
            for live in scene.lives("A") { #expect(try await live.goesOn()) }
            let heard = ContinuousClock.now
            try await scene.etcd.start()
            for live in scene.lives("A") {
                #expect(try await live.isReset())
                #expect(ContinuousClock.now - heard > .seconds(15))
            }
            for live in scene.lives("B") { #expect(try await live.goesOn()) }
        }
    }
}
