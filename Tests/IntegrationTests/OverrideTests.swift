// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `legation drain`, `weight` and `undo`, as two proxies and their clients see them.
@Suite(.tags(.integration), .untilHung)
struct OverrideTests {
    private struct Scene {
        let stage: Stage
        let etcd: EtcdProcess
        let proxies: [Proxy]

        func legation(_ words: String...) async throws -> Outcome {
            try await stage.runLegation([words[0]] + etcd.arguments + words.dropFirst())
        }

        /// Waits until clients of both proxies meet exactly these.
        func both(_ names: Set<String>, _ what: String, since: ContinuousClock.Instant? = nil) async throws {
            // docs/promises.md, "Overrides".
            try await eventually(what, within: .seconds(1), since: since ?? .now) {
                for proxy in proxies where try await !serves(proxy.endpoint, exactly: names, window: 6) { return false }
                return true
            }
        }
    }

    private func withScene(_ more: [String] = [], _ body: (Scene) async throws -> Void) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            for name in ["A", "B"] {
                let backend = try await stage.backend(Backend.naming(name))
                try await etcd.putInstance("/services/web/\(name)", backend.endpoint)
            }
            let proxies = try await [0, 1].asyncMap { _ in try await stage.proxy("web", etcd: etcd, more) }
            let scene = Scene(stage: stage, etcd: etcd, proxies: proxies)
            try await scene.both(["A", "B"], "both instances")
            try await body(scene)
        }
    }

    @Test func drainTakesEffectOnBothAndLeavesLiveConnections() async throws {
        try await withScene { scene in
            // A client of A, whose connection goes on.
            let live = try await waitForValue("a client of A") {
                let live = try await Live(scene.proxies[0].endpoint)
                return live.name == "A" ? live : nil
            }
            let said = try await scene.legation("drain", "web", "A", "--by", "alice")
            #expect(said.succeeded && said.output.hasPrefix("drained: web/A"), "\(said)")
            try await scene.both(["B"], "drain on both")
            #expect(try await live.goesOn())

            let shown = try await scene.legation("services", "--allow-target", "127.0.0.0/8")
            #expect(shown.output.contains("draining by alice since "), "\(shown)")
            let json = try await scene.legation("services", "--json", "--allow-target", "127.0.0.0/8")
            #expect(json.output.contains(#""override":{"v":1,"state":"draining","by":"alice","since":"#), "\(json)")

            #expect(try await scene.legation("undo", "web", "A").succeeded)
            try await scene.both(["A", "B"], "undo on both")
        }
    }

    @Test func endsAtUntil() async throws {
        try await withScene { scene in
            let begun = ContinuousClock.now
            #expect(try await scene.legation("drain", "web", "B", "--for", "10s").succeeded)
            try await scene.both(["A"], "drain on both")
            // The second that it was said in is cut off.
            try await waitFor("its end", within: .seconds(40)) {
                try await serves(scene.proxies[0].endpoint, exactly: ["A", "B"], window: 6)
            }
            let lasted = ContinuousClock.now - begun
            report(lasted, "a word of 10 s", promise: .seconds(10))
            #expect(lasted >= .seconds(9) && lasted < .seconds(30), "lasted \(lasted)")
            try await scene.both(["A", "B"], "its end on both")
        }
    }

    @Test func weightIsForAllOrForOne() async throws {
        try await withScene(["--balance", "weighted-round-robin", "--workers", "1"]) { scene in
            #expect(try await scene.legation("weight", "web", "A", "0").succeeded)
            try await scene.both(["B"], "weight 0 on both")
            #expect(try await scene.legation("weight", "web", "30").succeeded)
            #expect(try await scene.legation("weight", "web", "A", "90").succeeded)
            try await waitFor("three of four for A") {
                var seen: [String: Int] = [:]
                for _ in 0..<12 { seen[try await servedBy(scene.proxies[1].endpoint), default: 0] += 1 }
                return seen == ["A": 9, "B": 3]
            }
        }
    }

    @Test func saysWhatItCannotDo() async throws {
        try await withScene { scene in
            let typo = try await scene.legation("drain", "web", "C")
            #expect(
                typo.status == .code(1) && typo.errors.contains("no instance C of web is registered; there are A, B"),
                "\(typo)")
            let nothing = try await scene.legation("undo", "web", "A")
            #expect(
                nothing.status == .code(1) && nothing.errors.contains("nobody has said anything about web/A"),
                "\(nothing)")
            let bad = try await scene.legation("weight", "web", "A", "much")
            #expect(bad.status == .code(64) && bad.errors.contains("WEIGHT"), "\(bad)")
        }
    }
}
