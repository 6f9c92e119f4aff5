// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// `register` while the engine itself goes away and comes back.
@Suite(.tags(.integration), .untilHung)
struct LabEngineTests {
    /// A killed engine leaves its containers running, and ends them when it is started again.
    @Test(.row("R1", "R3")) func aKilledEngineWithdrawsNothingAndARestartedOneIsFollowed() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let before = try await host.redis("redis", ["--restart", "always"])
            let process = try await host.register("redis")
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: before)
            let proxy = try await host.proxy()
            let id = try await host.runID(at: before)
            try await lab.withChanges("/services/") { changes in
                try await host.engine("kill")
                try await process.firstLine(containing: "container engine cannot be reached")
                #expect(try await host.runID(at: proxy.endpoint) == id, "the container goes on")
                #expect(changes.all.isEmpty)
                try await host.engine("start")
                try await process.firstLine(containing: "container engine answers again")
                let after = try await waitForValue("the container's port") {
                    try? await host.published("redis", 6379)
                }
                try await lab.awaits(key, at: after)
                try await waitFor("traffic to the container as it is now") {
                    try await host.runID(at: proxy.endpoint) == host.runID(at: after)
                }
            }
        }
    }

    @Test func anEngineThatStopsInOrderTakesItsContainersWithIt() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let before = try await host.redis("redis")
            let process = try await host.register("redis")
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: before)
            let asked = ContinuousClock.now
            try await host.engine("stop")
            // Said to be draining at the engine's last words, or found not to accept twice, 5 s apart.
            try await eventually("key gone after the engine's end", within: .seconds(12), since: asked) {
                try await lab.key(key) == nil
            }
            #expect(process.exitStatus == nil)
            try await host.engine("start")
            try await host.docker("start", "redis")
            try await lab.awaits(key, at: try await host.published("redis", 6379))
        }
    }

    @Test func waitsForAnEngineThatIsDownAtStart() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.redis("redis", ["--restart", "always"])
            try await host.engine("stop")
            let process = try await host.register("redis")
            try await process.firstLine(containing: "container engine cannot be reached")
            try await host.engine("start")
            try await waitFor("the container's key") { try await lab.key(host.key(of: "redis")) != nil }
            let redis = try await host.published("redis", 6379)
            try await lab.awaits(host.key(of: "redis"), at: redis)
        }
    }

    /// Who may not open the socket is told what to do about it.
    @Test func aSocketThatCannotBeOpenedIsAUsageError() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let group = try await host.run("stat", "-c", "%g", "/run/docker.sock").output.split(separator: "\n")[0]
            try await host.docker(
                "run", "-d", "--name", "out", "-v", "/run/docker.sock:/run/docker.sock", "legation:latest", "register",
                "--etcd", lab.url, "--docker", "unix:///run/docker.sock", "redis", "6379", "redis-A")
            #expect(try await host.docker("wait", "out") == "64")
            let said = try await host.run("docker", "logs", "out").errors
            for part in ["--docker", "/run/docker.sock", "owner 0", "group \(group)", "--group-add \(group)"] {
                #expect(said.contains(part), "\(said)")
            }
        }
    }
}
