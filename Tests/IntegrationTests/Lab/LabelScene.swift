// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport

extension LabHost {
    /// Starts a Redis that asks to be published.
    func labelled(
        _ name: String, service: String = "redis-A", publish: String? = nil, _ more: [String] = []
    ) async throws {
        try await redis(name, publish: publish, ["--label", "legation.service=\(service)"] + more)
    }

    /// The same, with a health check, and a stop signal that Redis ignores.
    func checked(_ name: String) async throws {
        let health = ["--health-cmd", "redis-cli ping", "--health-interval", "500ms"]
        try await labelled(name, health + ["--stop-signal", "SIGWINCH"])
    }

    /// Starts `legation register --labels`, with the shortest lease there is.
    func registerLabels(
        _ more: [String] = [], socket: String? = nil, ttl: String = "5s"
    ) async throws -> ProcessUnderTest {
        try await legation(
            [
                "register", "--labels", "--docker", "unix://\(socket ?? dockerSocket)", "--etcd", etcdURL, "--ttl",
                ttl, "--node", name,
            ] + more)
    }

    /// What is to stand, by what the engine itself shows: keys and addresses of labelled containers that run.
    func shown() async throws -> [String: Endpoint] {
        let format = #"{{.Names}}|{{.Label "legation.service"}}|{{.Ports}}"#
        let lines = try await docker("ps", "--filter", "label=legation.service", "--format", format)
        var shown: [String: Endpoint] = [:]
        for line in lines.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: "|", omittingEmptySubsequences: false)
            guard parts.count == 3, let binding = parts[2].split(separator: "->").first,
                let endpoint = Endpoint(binding)
            else { throw Unexpected("docker ps: \(line)") }
            shown["/services/\(parts[1])/\(name):\(parts[0]):6379"] = endpoint
        }
        return shown
    }
}

extension Lab {
    /// Whether the registry has exactly what an engine shows, all of it up.
    func isEqual(_ shown: [String: Endpoint], count: Int) async throws -> Bool {
        let keys = try await keys("/services/")
        let registered = Dictionary(keys.map { ($0.key, $0.endpoint) }) { first, _ in first }
        return shown.count == count && registered == shown.mapValues(Optional.some)
            && keys.allSatisfy { $0.state == "up" }
    }

    func isEqual(_ host: LabHost, count: Int) async throws -> Bool { try await isEqual(host.shown(), count: count) }

    /// Waits for it.
    func equals(_ host: LabHost, count: Int) async throws {
        try await waitFor("the registry to be what docker ps shows", within: .seconds(40)) {
            try await isEqual(host, count: count)
        }
    }
}
