// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `register` as the article runs it: in a container itself, with the engine's socket mounted.
@Suite(.tags(.integration), .untilHung)
struct LabRegisterTests {
    /// What everything of ours runs with.
    private static let hardening = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]

    /// The words of `docker run` for a registrator in a container.
    private static func words(
        _ name: String, on host: LabHost, ttl: String = "5s", _ run: [String], _ more: [String]
    ) async throws -> [String] {
        let group = try await host.run("stat", "-c", "%g", "/run/docker.sock").output.split(separator: "\n")[0]
        return ["run", "-d", "--name", name] + hardening
            + ["-v", "/run/docker.sock:/var/run/docker.sock", "--group-add", String(group)] + run
            + ["legation:latest", "register", "--ttl", ttl] + more + ["redis", "6379", "redis-A"]
    }

    @Test func knowsItsNodeByTheAddressThatItPublishes() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let redis = try await host.redis("redis")
            try await host.docker(Self.words("registrator", on: host, [], ["--etcd", lab.url]))
            let key = "/services/redis-A/\(host.address):redis:6379"
            try await lab.awaits(key, at: redis)
            #expect(try await lab.key(key)?.json["node"] as? String == "\(host.address)")
            try await host.docker("stop", "-t", "30", "registrator")
            #expect(try await host.docker("inspect", "-f", "{{.State.ExitCode}}", "registrator") == "0")
            #expect(try await lab.keys("/services").isEmpty)
        }
    }

    @Test func aKilledAndRestartedOneIsNoDeleteToAnybody() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let redis = try await host.redis("redis")
            // Long enough for a busy engine to kill it and to start it again meanwhile.
            try await host.docker(Self.words("registrator", on: host, ttl: "20s", [], ["--etcd", lab.url]))
            let key = "/services/redis-A/\(host.address):redis:6379"
            try await lab.awaits(key, at: redis)
            let before = try #require(try await lab.key(key))
            try await lab.withChanges("/services/") { changes in
                for _ in 0..<2 {
                    let lease = try #require(try await lab.key(key)).lease
                    try await host.docker("kill", "registrator")
                    try await host.docker("start", "registrator")
                    try await waitFor("the key under a new lease") {
                        let lease2 = try await lab.key(key)?.lease
                        return lease2 != nil && lease2 != lease
                    }
                }
                // Longer than the killed ones' leases could live.
                let last = ContinuousClock.now
                try await waitFor("the end of the old leases", within: .seconds(60)) {
                    try await lab.control(["lease", "list"]).output.contains("found 1 leases")
                }
                print("measured: old leases gone after \((ContinuousClock.now - last).milliseconds) ms")
                #expect(!changes.all.contains { $0.isDelete }, "\(changes.all.map(\.key))")
                #expect(changes.all.allSatisfy { $0.key.state == "up" && $0.key.endpoint == redis })
            }
            #expect(try await lab.key(key)?.createRevision == before.createRevision, "it has stood all the time")
        }
    }

    /// The source address towards etcd would be the container's own, which nobody else can reach.
    @Test func anUnspecifiedBindingAndNoAdvertisedAddressIsAUsageError() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.redis("redis", publish: "6379")
            try await host.docker("run", "-d", "--name", "ambassador", "legation:latest", "forward", "\(lab.endpoint)")
            try await lab.withChanges("/services") { changes in
                try await host.docker(Self.words("registrator", on: host, ["--link", "ambassador:etcd"], []))
                #expect(try await host.docker("wait", "registrator") == "64")
                let said = try await host.run("docker", "logs", "registrator").errors
                #expect(said.contains("--advertise"), "\(said)")
                #expect(said.contains("by=\"link variables\""), "\(said)")
                #expect(changes.all.isEmpty)
            }
            // With it, all is well.
            try await host.docker(
                Self.words("second", on: host, ["--link", "ambassador:etcd"], ["--advertise", "\(host.address)"]))
            let key = "/services/redis-A/\(host.address):redis:6379"
            try await waitFor("the advertised address") {
                try await lab.key(key)?.endpoint?.address == host.address
            }
        }
    }

    @Test func theImageIsSmallAndMayDoNothing() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let image = try await host.docker(
                "image", "inspect", "-f", "{{.Config.User}} {{.Config.ExposedPorts}} {{.Size}}", "legation:latest")
            let words = image.split(separator: " ")
            #expect(words.first == "65532:65532" && image.contains("10000/tcp"), "\(image)")
            let size = try #require(words.last.flatMap { Int($0) })
            print("measured: image of legation \(size / 1_000_000) MB")
            #expect(size < 60_000_000)
            let listing = try await host.run(
                "sh", "-c", "docker create --name shell legation:latest && docker export shell | tar -t")
            #expect(!listing.output.contains("bin/sh"), "\(listing.output)")
            try await host.docker(
                ["run", "-d", "--name", "ambassador"] + Self.hardening + [
                    "legation:latest", "forward", "\(lab.endpoint)",
                ])
            let address = try await host.docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "ambassador")
            let ambassador = try #require(Endpoint("\(address):10000"))
            try await waitFor("the ambassador") {
                try await host.network.run {
                    try TCPConnection.connect(to: ambassador).close()
                    return true
                }
            }
            let pid = try await host.docker("inspect", "-f", "{{.State.Pid}}", "ambassador")
            let status = try await host.run("cat", "/proc/\(pid)/status").output
            func field(_ name: String) -> String {
                let line = status.split(separator: "\n").first { $0.hasPrefix("\(name):") } ?? ""
                return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
            }
            #expect(field("Uid").hasPrefix("65532") && field("NoNewPrivs") == "1")
            #expect(field("CapEff") == "0000000000000000" && field("CapBnd") == "0000000000000000")
            print("measured: idle memory of forward in its container \(field("VmRSS"))")
        }
    }
}
