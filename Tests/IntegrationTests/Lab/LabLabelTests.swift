// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// `register --labels` on a real engine: whatever happens to containers, the registry shows what runs.
@Suite(.tags(.integration), .untilHung)
struct LabLabelTests {
    @Test func theRegistryIsWhatTheEngineShows() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.labelled("early")
            try await host.redis("unlabelled")
            let process = try await host.registerLabels()
            try await host.labelled("late", service: "redis-B", ["--label", "legation.weight=7"])
            try await lab.equals(host, count: 2)
            #expect(try await lab.key("/services/redis-B/hostA:late:6379")?.json["weight"] as? Int == 7)
            for words in [["rename", "early", "renamed"], ["restart", "-t", "1", "renamed"], ["kill", "late"]] {
                try await host.docker(words)
                try await lab.equals(host, count: words[0] == "kill" ? 1 : 2)
            }
            try await host.docker("start", "late")
            try await lab.equals(host, count: 2)
            try await host.docker("rm", "-f", "renamed", "late")
            try await lab.equals(host, count: 0)
            try process.terminate()
            #expect(try await process.end() == .code(0))
            #expect(try await lab.keys("/services").isEmpty)
        }
    }

    @Test(.row("R5")) func aPortThatIsBoundTwiceIsOneEntry() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.labelled("both", publish: "6379")
            _ = try await host.registerLabels()
            let key = "/services/redis-A/hostA:both:6379"
            // Engines before 23 write IPv6 without brackets.
            let said = try await host.docker("port", "both", "6379/tcp").split(whereSeparator: \.isNewline)
            #expect(said.contains { $0.hasPrefix("0.0.0.0:") }, "\(said)")
            #expect(said.contains { $0.hasPrefix("[::]:") || $0.hasPrefix(":::") }, "\(said)")
            let port = try await host.published("both", 6379).port
            try await lab.awaits(key, at: Endpoint(host.address, port: port))
            #expect(try await lab.keys("/services/").count == 1)
        }
    }

    /// A few of them; `SlowLabTests` has more than an engine keeps.
    @Test(.row("R2", "R9")) func aRegistratorThatSleptThroughAFloodComesToTheSameEnd() async throws {
        try await FloodScene.isSleptThrough(60)
    }

    /// Draining begins with the signal, though the container does not mind it.
    @Test(.row("R10"), arguments: ["SIGWINCH", "SIGTERM", "SIGINT", "SIGQUIT", "SIGRTMIN+3"])
    func aContainerThatIsStoppedDrainsBeforeItEnds(signal: String) async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.labelled("redis", ["--stop-signal", signal])
            _ = try await host.registerLabels()
            try await lab.equals(host, count: 1)
            try await lab.withChanges("/services/") { changes in
                let asked = ContinuousClock.now
                try await host.docker("stop", "-t", "2", "redis")
                let draining = try await changes.first("draining") { $0.key.state == "draining" }
                report(draining.at - asked, "R10: draining after \(signal)", promise: .milliseconds(300))
                _ = try await changes.deletion(of: "/services/redis-A/hostA:redis:6379")
            }
            try await lab.equals(host, count: 0)
        }
    }

    @Test(.row("S11", "S12")) func neitherAsksNorBelievesMoreThanItMust() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let isAllowed = try AllowList.documented()
            let recorder = try RequestRecorder(
                at: lab.stage.directory() + "/recorder.sock", before: host.dockerSocket, allows: isAllowed)
            defer { recorder.close() }
            try await host.labelled("good")
            try await host.labelled("hostile", service: "pg")
            try await host.labelled("wrong", ["--label", "legation.weight=heavy"])
            let process = try await host.registerLabels(["--allow-service", "redis-*"], socket: recorder.path)
            try await process.firstLine(containing: "label cannot be used", "container=hostile", "value=pg")
            try await process.firstLine(containing: "label cannot be used", "container=wrong", "value=heavy")
            try await waitFor("the good one") { try await lab.keys("/services/").map(\.key) == [host.key(of: "good")] }
            try await host.docker("stop", "-t", "1", "good")
            try await waitFor("its end") { try await lab.keys("/services/").isEmpty }
            #expect(recorder.requests.count >= 4)
            for request in recorder.requests { #expect(isAllowed(request), "\(request)") }
            for request in ["GET /containers/json/../1/json HTTP/1.1", "POST /containers/1/kill HTTP/1.1"] {
                #expect(!isAllowed(request), "\(request)")
            }
        }
    }

    /// Each container is replaced when its successor's health check has passed, and serves on for some seconds once it is
    /// told to stop, as whoever ends in good order does: Redis itself drops its clients at once. A busy machine needs some
    /// of that time to take the word from the engine to the proxy.
    @Test(.row("R10")) func tenRollingReplacementsFailNoConnect() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.checked("redis0")
            _ = try await host.registerLabels()
            try await lab.equals(host, count: 1)
            let proxy = try await host.proxy()
            let ping = { @Sendable () -> String in
                let connection = try TCPConnection.connect(to: proxy.endpoint, limit: .seconds(10))
                guard let answer = try connection.exchange("PING") else {
                    throw Unexpected("an end instead of an answer")
                }
                return answer
            }
            let rate = 200
            try await withArrivals(perSecond: rate, in: host.network, ping) { arrivals in
                let begun = ContinuousClock.now
                for number in 1...10 {
                    try await host.checked("redis\(number)")
                    try await waitFor("redis\(number) to be published", within: .seconds(30)) {
                        try await lab.key(host.key(of: "redis\(number)"))?.state == "up"
                    }
                    let asked = arrivals.rounds.count
                    try await host.docker("stop", "-t", "4", "redis\(number - 1)")
                    try await waitFor("clients of this replacement") { arrivals.rounds.count > asked + rate / 2 }
                }
                let count = arrivals.rounds.count
                try await waitFor("clients after the last") { arrivals.rounds.count > count + 100 }
                let achieved = Double(arrivals.rounds.count) / (ContinuousClock.now - begun).inSeconds
                print("scenario C: \(arrivals.rounds.count) connects during replacements, \(Int(achieved)) a second")
                // The rate itself is what this machine makes of it; on a quiet one it is kept.
                #expect(arrivals.rounds.count >= 10 * rate, "too few clients to show anything")
                #expect(arrivals.failures.isEmpty, "\(arrivals.failures.prefix(3))")
                #expect(arrivals.rounds.allSatisfy { $0.name == "+PONG" })
            }
            try await lab.equals(host, count: 1)
        }
    }
}
