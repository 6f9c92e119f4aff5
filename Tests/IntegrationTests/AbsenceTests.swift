// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What new clients meet when nothing is left or nothing is heard, as `--on-empty` and `--on-loss` say (F7).
@Suite(.tags(.integration), .untilHung)
struct AbsenceTests {
    /// A change in etcd reaches the next new connection (docs/promises.md, "The relay").
    private static let atOnce = Duration.milliseconds(250)

    /// The last instance of `web` goes by somebody's word.
    private func emptied(_ policy: [String], _ body: (Stage, Proxy, Backend) async throws -> Void) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backends = try await ["A", "F"].asyncMap { try await stage.backend(Backend.naming($0)) }
            try await etcd.putInstance("/services/web/a", backends[0].endpoint)
            let words = policy.map { $0.replacing("%F", with: "\(backends[1].endpoint)") }
            let proxy = try await stage.proxy("web", etcd: etcd, words)
            let live = try await Live(proxy.endpoint)
            #expect(live.name == "A")
            _ = try await etcd.control(["del", "/services/web/a"])
            try await waitFor("an empty set") {
                !proxy.process.lines(containing: "endpoint set changed", "up=0").isEmpty
                    || !proxy.process.lines(containing: "the last ones are used on").isEmpty
            }
            try await body(stage, proxy, backends[0])
            #expect(try await live.goesOn())
            // And whoever comes back is used at once.
            let back = try await stage.backend(Backend.naming("back"))
            try await etcd.putInstance("/services/web/b", back.endpoint)
            try await eventually("back", within: .seconds(2)) { try await servedBy(proxy.endpoint) == "back" }
        }
    }

    @Test func refuseResets() async throws {
        try await emptied([]) { (_, proxy: Proxy, _) async throws -> Void in
            // The log says it before or after the relay knows it.
            try await eventually("refuse", within: Self.atOnce) { try await isReset(proxy.endpoint) }
        }
    }

    @Test(.row("F7")) func keepGoesOnWithTheLast() async throws {
        try await emptied(["--on-empty", "keep"]) { (_, proxy: Proxy, _) async throws -> Void in
            for _ in 0..<20 { #expect(try await servedBy(proxy.endpoint) == "A") }
        }
    }

    @Test(.row("F7")) func fallbackTakesOver() async throws {
        try await emptied(["--on-empty", "web=fallback:%F"]) { (_, proxy: Proxy, _) async throws -> Void in
            try await eventually("fallback", within: Self.atOnce) {
                try await serves(proxy.endpoint, exactly: ["F"], window: 6)
            }
            for _ in 0..<20 { #expect(try await servedBy(proxy.endpoint) == "F") }
        }
    }

    @Test func dropAfterRefusesOnceItsTimeIsOver() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let backend = try await stage.backend(Backend.naming("A"))
            try await etcd.putInstance("/services/web/a", backend.endpoint)
            let kept = try await stage.proxy("web", etcd: etcd)
            let dropped = try await stage.proxy("web", etcd: etcd, ["--on-loss", "drop-after:10s"])
            let failed = try await stage.proxy("web", etcd: etcd, ["--on-loss", "fail"])
            try await waitFor("all three") {
                try await [kept, dropped, failed].asyncMap { try await servedBy($0.endpoint) } == ["A", "A", "A"]
            }
            let live = try await [dropped, failed].asyncMap { try await Live($0.endpoint) }
            let stopping = ContinuousClock.now
            try await etcd.stop()
            let stopped = ContinuousClock.now
            // Silence runs from the last answer: at most one ping of a second before.
            try await eventually("fail", within: .seconds(1), since: stopped) { try await refuses(failed) }
            let served = try? await servedBy(dropped.endpoint)
            if ContinuousClock.now - stopping < .seconds(9) { #expect(served == "A") }
            try await eventually("drop-after", within: .seconds(10), since: stopped) {
                try await refuses(dropped)
            }
            #expect(try await servedBy(kept.endpoint) == "A")
            for connection in live { #expect(try await connection.goesOn()) }
            try await etcd.start()
            for proxy in [dropped, failed] {
                try await eventually("used again", within: .seconds(6)) { try await !refuses(proxy) }
            }
        }
    }

    /// - Returns: whether a new client is reset; false when it is served.
    private func refuses(_ proxy: Proxy) async throws -> Bool {
        do {
            return try await servedBy(proxy.endpoint) != "A"
        } catch let failure as SocketFailure {
            return failure.isReset || failure.isRefused
        }
    }
}
