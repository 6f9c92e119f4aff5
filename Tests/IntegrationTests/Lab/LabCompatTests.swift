// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `register --labels --compat registrator` on a real engine, by what containers say in their environment and not at all.
@Suite(.tags(.integration), .untilHung)
struct LabCompatTests {
    /// What each container is called by registrator's rules; who is not here is not to be registered.
    private static let services = ["plain": "redis", "named": "cache", "two": "redis", "later": "later"]

    /// An image that is built anew takes its name from the old one, which its containers go on with.
    @Test(.row("S11")) func whatSaysNothingIsNamedAsRegistratorDoesWhateverBecomesOfItsImage() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let isAllowed = try AllowList.documented(isCompatible: true)
            let recorder = try RequestRecorder(
                at: lab.stage.directory() + "/recorder.sock", before: host.dockerSocket, allows: isAllowed)
            defer { recorder.close() }
            try await host.redis("plain")
            try await host.redis("named", ["-e", "SERVICE_NAME=cache", "-e", "SERVICE_PASSWORD=secret"])
            try await host.redis("two", ["-p", "\(host.address)::6380"])
            try await host.redis("ignored", ["-e", "SERVICE_IGNORE=1"])
            let process = try await host.registerLabels(["--compat", "registrator"], socket: recorder.path)
            try await equals(lab, host, count: 4)
            let named = try #require(try await lab.key("/services/cache/hostA:named:6379"))
            #expect(!named.value.contains("secret"), "\(named)")
            let image = try await host.docker("inspect", "--format", "{{.Image}}", "plain")
            try await lab.withChanges("/services/") { changes in
                try await host.docker("tag", "redis-client:local", "redis:local")
                let shown = try await host.docker("ps", "--filter", "name=plain", "--format", "{{.Image}}")
                #expect(shown != "redis:local", "the engine's list names the image as ever")
                // Whatever is listed from now on is listed so.
                let words = ["-e", "SERVICE_NAME=later", "-p", "\(host.address)::6379", image]
                try await host.docker(["run", "-d", "--name", "later"] + words)
                try await equals(lab, host, count: 5)
                let others = changes.all.filter { $0.key.key != "/services/later/hostA:later:6379" }
                #expect(others.isEmpty, "\(others.map(\.key))")
            }
            #expect(recorder.requests.contains { $0.contains("/json HTTP") && !$0.contains("/containers/json") })
            for request in recorder.requests { #expect(isAllowed(request), "\(request)") }
            try process.terminate()
            #expect(try await process.end() == .code(0))
            #expect(try await lab.keys("/services").isEmpty)
        }
    }

    private func equals(_ lab: Lab, _ host: LabHost, count: Int) async throws {
        try await waitFor("the registry to be what docker shows", within: .seconds(40)) {
            try await lab.isEqual(shown(on: host), count: count)
        }
    }

    /// What is to stand, by what the engine itself shows.
    private func shown(on host: LabHost) async throws -> [String: Endpoint] {
        var shown: [String: Endpoint] = [:]
        for name in try await host.docker("ps", "--format", "{{.Names}}").split(whereSeparator: \.isNewline) {
            guard let service = Self.services[String(name)] else { continue }
            let ports = try await host.docker("port", String(name)).split(whereSeparator: \.isNewline)
            for port in ports {
                // 6379/tcp -> 10.77.0.1:32768
                let halves = String(port).components(separatedBy: " -> ")
                guard halves.count == 2, let number = halves[0].split(separator: "/").first,
                    let endpoint = Endpoint(halves[1])
                else { throw Unexpected("docker port \(name): \(port)") }
                let whole = ports.count > 1 ? "\(service)-\(number)" : service
                shown["/services/\(whole)/\(host.name):\(name):\(number)"] = endpoint
            }
        }
        return shown
    }
}
