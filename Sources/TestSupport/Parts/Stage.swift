// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel
import Synchronization

/// What one test puts up: processes, backends, a directory. All of it is gone when the test's scope ends, also when the
/// test throws.
package final class Stage: Sendable {
    private struct State {
        var directory: String?
        var backends: [Backend] = []
        var faultProxies: [FaultProxy] = []
        var processes: [ProcessUnderTest] = []
    }

    /// The test, as RealParts names it.
    package let test: String
    private let host: ProcessHost
    private let state = Mutex(State())

    fileprivate init(test: String, host: ProcessHost) {
        self.test = test
        self.host = host
    }

    // MARK: - Processes

    package func start(_ command: Command) async throws -> ProcessUnderTest {
        let process = try await host.start(withState(command))
        state.withLock { $0.processes.append(process) }
        return process
    }

    /// Runs a program to its end.
    package func run(_ command: Command, within limit: Duration = .seconds(20)) async throws -> Outcome {
        try await host.run(withState(command), within: limit)
    }

    /// State of a process is the stage's unless it says otherwise: none of another test's, nor of this machine's.
    private func withState(_ command: Command) throws -> Command {
        var command = command
        if command.environment["STATE_DIRECTORY"] == nil { command.environment["STATE_DIRECTORY"] = try directory() }
        return command
    }

    /// Starts `legation COMMAND …`.
    package func legation(
        _ arguments: [String], environment: [String: String] = [:], networkOf: ProcessUnderTest? = nil
    ) async throws -> ProcessUnderTest {
        try await start(LegationBinary.command(arguments, environment: environment, networkOf: networkOf))
    }

    /// Runs `legation COMMAND …` to its end.
    package func runLegation(
        _ arguments: [String], environment: [String: String] = [:], networkOf: ProcessUnderTest? = nil,
        within limit: Duration = .seconds(20)
    ) async throws -> Outcome {
        try await run(
            LegationBinary.command(arguments, environment: environment, networkOf: networkOf), within: limit)
    }

    /// A process that does nothing in a network of its own, of which only loopback is up.
    package func network() async throws -> ProcessUnderTest {
        let script = "ip link set lo up && echo ready && exec sleep infinity"
        let holder = try await start(Command("unshare", ["--net", "sh", "-c", script]))
        try await holder.firstLine(containing: "ready")
        return holder
    }

    // MARK: - Backends

    /// A backend that serves until the stage ends.
    package func backend(
        on address: IPAddress = .loopbackV4, port: UInt16 = 0, in network: Network = .own,
        _ serve: @escaping @Sendable (TCPConnection) throws -> Void = Backend.echo
    ) async throws -> Backend {
        let backend = try await network.run { try Backend(on: address, port: port, serve: serve) }
        state.withLock { $0.backends.append(backend) }
        return backend
    }

    /// A fault proxy before whatever listens at `target`, until the stage ends; nothing is wrong at first.
    package func faultProxy(to target: Endpoint) throws -> FaultProxy {
        let proxy = try FaultProxy(to: target)
        state.withLock { $0.faultProxies.append(proxy) }
        return proxy
    }

    // MARK: - Files

    /// A directory of the test's own, in memory where there is such a place, so that fsync costs nothing.
    package func directory() throws -> String {
        try state.withLock { state in
            if let directory = state.directory { return directory }
            let files = FileManager.default
            let root = files.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : files.temporaryDirectory.path
            let directory = "\(root)/\(Reaper.directoryPrefix)\(UUID().uuidString)"
            try files.createDirectory(atPath: directory, withIntermediateDirectories: true)
            state.directory = directory
            return directory
        }
    }

    // MARK: - End

    fileprivate func close(failed: Bool) {
        if failed { report() }
        for proxy in state.withLock({ $0.faultProxies }) { proxy.close() }
        for backend in state.withLock({ $0.backends }) { backend.close() }
    }

    fileprivate func removeFiles() {
        if let directory = state.withLock({ $0.directory }) { try? FileManager.default.removeItem(atPath: directory) }
    }

    /// What the processes said last, for whoever reads the failure; all of it when `LEGATION_TEST_LOGS` is set.
    private func report() {
        let count = ProcessInfo.processInfo.environment["LEGATION_TEST_LOGS"] == nil ? 15 : Int.max
        for process in state.withLock({ $0.processes }) where !process.command.executable.hasSuffix("etcd") {
            print("--- \(test): \(process)\n\(process.lastLines(count))")
        }
    }
}

/// Gives `body` an empty stage and clears it afterwards.
/// - Parameter load: how much of the machine the test will take; the wait for it counts for the test's time limit.
@discardableResult
package func withStage<Result>(
    _ load: Load = .short, test: String = #function, _ body: (Stage) async throws -> Result
) async throws -> Result {
    try await load.admitted {
        var stages: [Stage] = []
        defer { stages.forEach { $0.removeFiles() } }
        return try await withProcesses { host in
            let stage = Stage(test: test, host: host)
            stages.append(stage)
            do {
                let result = try await body(stage)
                stage.close(failed: false)
                return result
            } catch {
                stage.close(failed: true)
                throw error
            }
        }
    }
}
