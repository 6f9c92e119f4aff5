// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// etcd away: knowledge grows old, traffic goes on.
@Suite(.tags(.integration), .untilHung)
struct OutageTests {
    @Test func trafficGoesOnWhileEtcdIsStoppedForAMinute() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let backends = try await ["A", "B"].asyncMap { try await stage.backend(Backend.naming($0)) }
            let registrator = try await stage.register("web", backends[0].endpoint, etcd: etcd)
            try await etcd.putInstance("/services/web/by-hand", backends[1].endpoint)
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await waitFor("both") { try await serves(proxy.endpoint, exactly: ["A", "B"], window: 4) }

            let past = try await proxy.pastOutages()
            let loop = try await withClientLoop(to: proxy.endpoint) { loop in
                try await etcd.stop()
                let stopped = ContinuousClock.now
                try await eventually("stale knowledge said", within: .seconds(5), since: stopped) {
                    proxy.count(of: Proxy.stale) == past + 1
                }
                let line = try #require(proxy.process.lines(containing: Proxy.stale).last)
                #expect(LogFields(line.text)["since"] != nil, "since when: \(line.text)")
                try await Task.sleep(until: stopped + .seconds(60))
                #expect(proxy.count(of: Proxy.stale) == past + 1 && proxy.count(of: Proxy.fresh) == past)
                try await etcd.start()
                try await eventually("fresh knowledge said", within: .seconds(6)) {
                    proxy.count(of: Proxy.fresh) == past + 1
                }
                return loop
            }
            #expect(loop.failures.isEmpty)
            #expect(loop.rounds.count > 500)
            // The registrator's lease was extended by etcd's restart, or granted anew: its instance is there again.
            try await waitFor("key back") { try await etcd.key(registrator.key) != nil }
            try await waitFor("both again") { try await serves(proxy.endpoint, exactly: ["A", "B"], window: 4) }
        }
    }

    /// A stopped process still accepts and acknowledges: only an answer that fails to come tells.
    @Test func noticesAnEtcdThatHangs() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let backend = try await stage.backend(Backend.naming("A"))
            try await etcd.putInstance("/services/web/a", backend.endpoint)
            let proxy = try await stage.proxy("web", etcd: etcd)
            let past = try await proxy.pastOutages()
            try etcd.pause()
            // Ping 10 s + time-out 5 s (docs/promises.md, "When etcd is in trouble"), and 2 s for an attempt to connect anew.
            try await eventually("hanging etcd noticed", within: .seconds(17)) {
                proxy.count(of: Proxy.stale) == past + 1
            }
            #expect(try await servedBy(proxy.endpoint) == "A")
            try etcd.resume()
            try await eventually("etcd back after it hung", within: .seconds(6)) {
                proxy.count(of: Proxy.fresh) == past + 1
            }
        }
    }

    @Test func aClientWithoutAnyInstanceIsResetAtOnce() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let proxy = try await stage.proxy("nobody", etcd: etcd)
            for _ in 0..<3 {
                let start = ContinuousClock.now
                #expect(try await isReset(proxy.endpoint))
                report(ContinuousClock.now - start, "reset without an instance", promise: .milliseconds(100))
                #expect(ContinuousClock.now - start < .seconds(2))
            }
        }
    }

    @Test func doesNotListenBeforeItKnowsAnything() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(start: false)
            let backend = try await stage.backend(Backend.naming("A"))
            let process = try await stage.legation(stage.proxyArguments("web", etcd: etcd))
            let eager = try await stage.legation(stage.proxyArguments("web", etcd: etcd, ["--start-empty"]))
            let open = try await eager.listeningEndpoint()
            #expect(try await isReset(open))
            try await waitFor("both to say that they wait") {
                [process, eager].allSatisfy { !$0.lines(containing: Proxy.stale).isEmpty }
            }
            #expect(process.lines(containing: "listening").isEmpty)
            try await etcd.start()
            let late = try await process.listeningEndpoint()
            try await etcd.putInstance("/services/web/a", backend.endpoint)
            for endpoint in [open, late] {
                try await eventually("served after a start without etcd", within: .seconds(6)) {
                    try await servedBy(endpoint) == "A"
                }
            }
        }
    }

    @Test func goesOnWithTheSecondEndpointWhenTheFirstDies() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let dead = try FreePorts.take()
            let backend = try await stage.backend(Backend.naming("A"))
            let endpoints = "http://127.0.0.1:\(dead),\(etcd.url)"
            let registrator = try await stage.legation([
                "register", "--address", "\(backend.endpoint)", "--allow-loopback", "--node", "hostA", "--etcd",
                endpoints, "web",
            ])
            let proxy = try await stage.legation([
                "proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8", "--etcd", endpoints, "web:0",
            ])
            let endpoint = try await proxy.listeningEndpoint()
            try await eventually("served by way of the second endpoint", within: .seconds(6)) {
                try await servedBy(endpoint) == "A"
            }
            #expect(registrator.exitStatus == nil)
        }
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
