// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

/// Podman's service on a host of a lab, which speaks Docker's API.
package struct PodmanService: Sendable {
    package let host: LabHost

    /// Its socket, as a process outside of the host sees it.
    package var socket: String { host.path("/run/podman/podman.sock") }

    fileprivate init(host: LabHost) { self.host = host }

    /// `podman …` on the host.
    /// - Returns: what it printed, without the last line's end. - Throws: when it fails.
    @discardableResult
    package func callAsFunction(_ arguments: String...) async throws -> String { try await run(arguments) }

    @discardableResult
    package func run(_ arguments: [String]) async throws -> String {
        let outcome = try await host.lab.run(["exec", host.name, "podman"] + arguments)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    /// `start`, or `kill` (SIGKILL) of the service; containers need none.
    package func service(_ verb: String) async throws {
        let outcome = try await host.lab.run(["podman", host.name, verb])
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
    }
}

extension LabHost {
    /// Starts Podman's service, with our images, beside the host's engine.
    package func podman() async throws -> PodmanService {
        let podman = PodmanService(host: self)
        try await podman.service("start")
        let version = try await podman("version", "--format", "{{.Server.Version}}")
        try RealParts.record("podman", version: version, test: lab.stage.test)
        return podman
    }
}
