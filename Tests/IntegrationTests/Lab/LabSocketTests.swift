// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// How an engine is found, and which of its languages is spoken.
@Suite(.tags(.integration), .untilHung)
struct LabSocketTests {
    /// The newest version whose published description we have read: docs/labels.md, "Engines".
    private static let ours = 52

    /// `Scripts/test engine` runs it on another engine.
    @Test(.row("R6")) func speaksTheNewestVersionThatBothKnow() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let own = try await host.docker("version", "--format", "{{.Server.APIVersion}}")
            let minor = try #require(own.split(separator: ".").last.flatMap { Int($0) })
            let spoken = "/v1.\(min(minor, Self.ours))/"
            let recorder = try RequestRecorder(
                at: lab.stage.directory() + "/recorder.sock", before: host.dockerSocket)
            defer { recorder.close() }
            try await host.labelled("redis")
            _ = try await host.registerLabels(socket: recorder.path)
            try await lab.equals(host, count: 1)
            print("measured: API \(own) of \(try await host.docker("version", "--format", "{{.Server.Version}}"))")
            #expect(recorder.requests.first == "HEAD /_ping HTTP/1.1")
            #expect(recorder.requests.count >= 3)
            for request in recorder.requests.dropFirst() { #expect(request.hasPrefix("GET \(spoken)"), "\(request)") }
        }
    }

    /// A rootless engine listens in its user's folder, and its containers' own addresses lead nowhere.
    @Test(.row("R8"), arguments: ["DOCKER_HOST", "XDG_RUNTIME_DIR"])
    func aRootlessEngineIsFoundAndTheHostsPortIsPublished(variable: String) async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let folder = try lab.stage.directory()
            let recorder = try RequestRecorder(at: "\(folder)/docker.sock", before: host.dockerSocket)
            defer { recorder.close() }
            let value = variable == "DOCKER_HOST" ? "unix://\(recorder.path)" : folder
            try await host.labelled("everywhere", publish: "6379")
            // Exposed alone: there is nothing that others could reach.
            try await host.docker("run", "-d", "--name", "inner", "--label", "legation.service=pg", "redis:local")
            var command = try LegationBinary.command(
                ["register", "--labels", "--etcd", lab.url, "--ttl", "5s", "--node", host.name],
                environment: [variable: value])
            // Without this machine's own engine, whose socket would go before the user's.
            command.arguments =
                ["--mount", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\"", command.executable]
                + command.arguments
            command.executable = "unshare"
            command.network = host.network
            let process = try await lab.stage.start(command)
            let port = try await host.published("everywhere", 6379).port
            try await process.firstLine(containing: "container's port cannot be published", "container=inner")
            try await lab.awaits("/services/redis-A/hostA:everywhere:6379", at: Endpoint(host.address, port: port))
            #expect(try await lab.keys("/services/").count == 1)
            #expect(recorder.requests.contains { $0.contains("/events") })
        }
    }
}
