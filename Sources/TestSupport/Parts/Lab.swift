// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// Hosts with a Docker Engine each, and an etcd that all of them reach: what `Scripts/lab` puts up, in namespaces of its
/// own. Its etcd is looked at from within.
package final class Lab: Sendable, EtcdByHand {
    package let stage: Stage
    /// Where the lab keeps its state; by it, labs are told apart.
    let folder: String
    private let names: [String]
    private let pids: [String: Int32]

    /// As `Scripts/lab` sets it.
    package let endpoint = Endpoint(IPAddress(v4: 0x0a4d_000a), port: 2379)
    package var place: Network { .ofPID(pids[Self.switchName] ?? 0) }
    package var url: String { "http://\(endpoint)" }

    private static let switchName = "switch"

    fileprivate init(names: [String], folder: String, pids: [String: Int32], stage: Stage) {
        self.names = names
        self.folder = folder
        self.pids = pids
        self.stage = stage
    }

    /// By its name, `hostA` or `hostB`.
    package subscript(_ name: String) -> LabHost {
        guard let number = names.firstIndex(of: name), let pid = pids[name] else {
            preconditionFailure("no host \(name) in this lab")
        }
        return LabHost(
            name: name, address: IPAddress(v4: 0x0a4d_0001 + UInt32(number)), network: .ofPID(pid), pid: pid, lab: self)
    }

    package func control(_ arguments: [String]) async throws -> Outcome {
        try await run(["exec", Self.switchName, "env", "ETCDCTL_API=3", "etcdctl", "--endpoints", url] + arguments)
    }

    /// `Scripts/lab …` on this lab.
    package func run(_ arguments: [String], within limit: Duration = .seconds(60)) async throws -> Outcome {
        try await stage.run(Self.command(arguments, folder: folder), within: limit)
    }

    static func command(_ arguments: [String], folder: String) throws -> Command {
        var environment = ["LEGATION_LAB": folder, "LEGATION_BINARY": try LegationBinary.path]
        // Whose engine the hosts run, when it is not this machine's.
        environment["LEGATION_ENGINE_ROOT"] = ProcessInfo.processInfo.environment["LEGATION_ENGINE_ROOT"]
        return Command("\(PackageRoot.path)/Scripts/lab", arguments, environment: environment)
    }
}

/// One host of a lab.
package struct LabHost: Sendable {
    package let name: String
    /// On the network that all hosts share.
    package let address: IPAddress
    package let network: Network
    package var etcdURL: String { lab.url }
    fileprivate let pid: Int32
    let lab: Lab

    /// The engine's socket as a process outside of the host sees it: sockets in the file system know no network.
    package var dockerSocket: String { path("/run/docker.sock") }

    /// A file of the host as a process outside of it sees it.
    package func path(_ path: String) -> String { "/proc/\(pid)/root\(path)" }

    /// Runs a program on the host to its end.
    package func run(_ words: String..., within limit: Duration = .seconds(60)) async throws -> Outcome {
        try await lab.run(["exec", name] + words, within: limit)
    }

    /// Starts a program on the host.
    package func start(_ words: [String]) async throws -> ProcessUnderTest {
        try await lab.stage.start(Lab.command(["exec", name] + words, folder: lab.folder))
    }

    /// `docker …` on the host.
    /// - Returns: what it printed, without the last line's end. - Throws: when it fails.
    @discardableResult
    package func docker(_ arguments: String...) async throws -> String { try await docker(arguments) }

    @discardableResult
    package func docker(_ arguments: [String]) async throws -> String {
        let outcome = try await lab.run(["exec", name, "docker"] + arguments)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        return outcome.output.trimmingCharacters(in: .newlines)
    }

    /// `start`, `stop` (SIGTERM and its end) or `kill` (SIGKILL) of the host's engine.
    package func engine(_ verb: String) async throws {
        let outcome = try await lab.run(["engine", name, verb])
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
    }

    /// `legation …` in the host's network, outside of its other namespaces, so that signals reach it itself.
    package func legation(_ arguments: [String], environment: [String: String] = [:]) async throws -> ProcessUnderTest {
        var command = try LegationBinary.command(arguments, environment: environment)
        command.network = network
        return try await lab.stage.start(command)
    }

    /// The same to its end.
    package func runLegation(_ arguments: [String]) async throws -> Outcome {
        var command = try LegationBinary.command(arguments)
        command.network = network
        return try await lab.stage.run(command)
    }

    /// Where the host listens for a container's port, as the engine says.
    package func published(_ container: String, _ port: Int) async throws -> Endpoint {
        let said = try await docker("port", container, "\(port)/tcp").split(whereSeparator: \.isNewline)
        guard let first = said.first, let endpoint = Endpoint(String(first)) else {
            throw Unexpected("docker port \(container): \(said)")
        }
        return endpoint
    }
}

/// Gives `body` a lab of these hosts and takes it down afterwards; the test fails when it leaves anything behind.
@discardableResult
package func withLab<Result>(
    _ hosts: [String] = ["hostA"], load: Load = .lab, test: String = #function, _ body: (Lab) async throws -> Result
) async throws -> Result {
    try await withStage(load, test: test) { stage in
        let folder = try stage.directory() + "/lab"
        let result: Swift.Result<Result, any Error>
        do {
            let lab = try await Load.start.admitted { try await stage.putUp(hosts, folder: folder) }
            result = .success(try await body(lab))
        } catch {
            result = .failure(error)
        }
        let down = try await stage.run(Lab.command(["down"], folder: folder), within: .seconds(60))
        guard down.succeeded else { throw Unexpected("\(down)") }
        return try result.get()
    }
}

extension Stage {
    fileprivate func putUp(_ hosts: [String], folder: String) async throws -> Lab {
        let up = try await run(Lab.command(["up"] + hosts, folder: folder), within: .seconds(120))
        guard up.succeeded else { throw MissingPart("\(up)") }
        var pids: [String: Int32] = [:]
        for name in hosts + ["switch"] {
            let text = try String(contentsOfFile: "\(folder)/\(name).pid", encoding: .utf8)
            guard let pid = Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
                throw MissingPart("\(folder)/\(name).pid says: \(text)")
            }
            pids[name] = pid
        }
        let lab = Lab(names: hosts, folder: folder, pids: pids, stage: self)
        let version = try await lab[hosts[0]].docker("version", "--format", "{{.Server.Version}}")
        try RealParts.record("docker engine", version: version, test: test)
        let etcd = try await lab.run(["exec", "switch", "etcd", "--version"])
        guard let line = etcd.output.split(separator: "\n").first, let number = line.split(separator: " ").last else {
            throw MissingPart("\(etcd)")
        }
        try RealParts.record("etcd", version: String(number), test: test)
        return lab
    }
}
