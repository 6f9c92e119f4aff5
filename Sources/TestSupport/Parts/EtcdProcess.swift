// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel
import Synchronization

/// A real etcd, one member on loopback, with data and ports that outlive its restarts.
package final class EtcdProcess: Sendable {
    package let version: Version
    package let endpoint: Endpoint
    /// Nil: plaintext.
    package let certificates: Certificates?
    let stage: Stage
    private let seat: Seat
    /// All members, as `--initial-cluster` takes them.
    private let cluster = Mutex("")
    let network: ProcessUnderTest?
    private let process = Mutex<ProcessUnderTest?>(nil)

    init(version: Version, certificates: Certificates?, seat: Seat, network: ProcessUnderTest?, stage: Stage) {
        self.version = version
        self.certificates = certificates
        self.stage = stage
        self.network = network
        self.seat = seat
        endpoint = seat.client
        join([self])
    }

    package var name: String { seat.name }
    var directory: String { seat.directory }
    var peerURL: String { "http://\(seat.peer)" }

    /// Makes it a member of a cluster that has not started yet.
    func join(_ members: [EtcdProcess]) {
        cluster.withLock { $0 = members.map { "\($0.name)=\($0.peerURL)" }.joined(separator: ",") }
    }

    var initialCluster: String { cluster.withLock { $0 } }

    /// As `--etcd` takes it.
    package var url: String { certificates == nil ? "http://\(endpoint)" : "https://\(endpoint)" }

    /// The arguments by which a legation command finds it.
    package var arguments: [String] { ["--etcd", url] + (certificates?.arguments ?? []) }

    // MARK: - Its life

    /// Starts it, again on the same ports and data, and waits until it serves.
    /// - Parameter awaitHealth: false when nobody without a password will be told that it serves.
    package func start(awaitHealth: Bool = true) async throws {
        try await Load.start.admitted {
            var command = try Command(version.program("etcd"), startArguments, networkOf: network)
            command.mountsOf = seat.mounts
            command.group = seat.group
            let started = try await stage.start(command)
            process.withLock { $0 = started }
            try await waitFor("etcd \(version.rawValue) at \(endpoint)") {
                if let status = started.exitStatus { throw MissingPart("etcd: \(status): \(started.lastLines(3))") }
                return try await awaitHealth ? isHealthy() : accepts()
            }
        }
    }

    private func accepts() async throws -> Bool {
        let endpoint = endpoint
        return try await place.run {
            try TCPConnection.connect(to: endpoint).close()
            return true
        }
    }

    private var startArguments: [String] {
        var arguments = [
            "--name", name, "--data-dir", directory, "--log-level", "warn",
            "--listen-client-urls", url, "--advertise-client-urls", url,
            "--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL,
            "--initial-cluster", initialCluster,
        ]
        if let certificates {
            arguments += [
                "--cert-file", certificates.serverCertificate, "--key-file", certificates.serverKey,
                "--trusted-ca-file", certificates.authority, "--client-cert-auth",
            ]
        }
        return arguments + seat.more
    }

    private func running() throws -> ProcessUnderTest {
        guard let process = process.withLock({ $0 }) else { throw MissingPart("etcd was not started") }
        return process
    }

    /// False before it has started and after it has ended by whatever means.
    package var isRunning: Bool { process.withLock { $0.map { $0.exitStatus == nil } ?? false } }

    /// How often it has said this since it started.
    package func count(of message: String) -> Int {
        process.withLock { $0 }?.lines(containing: message).count ?? 0
    }

    /// What it said last, for failure messages.
    var lastLines: String { process.withLock { $0 }?.lastLines(5) ?? "it was not started" }

    /// SIGTERM and its end.
    package func stop() async throws {
        let process = try running()
        try process.terminate()
        try await process.end()
    }

    /// SIGKILL and its end.
    package func kill() async throws { try await running().killAndWait() }

    /// SIGSTOP: the kernel still accepts connections and acknowledges, nobody answers.
    package func pause() throws { try running().pause() }
    package func resume() throws { try running().resume() }

    package func restart(awaitHealth: Bool = true) async throws {
        try await stop()
        try await start(awaitHealth: awaitHealth)
    }
}

extension Stage {
    /// A running etcd.
    /// - Parameters:
    ///   - clientPort: nil for a free one.
    ///   - network: a process in whose network it listens; only `ctl` reaches it there.
    ///   - start: false leaves it to the test to start it.
    ///   - more: added to the program's arguments.
    package func etcd(
        _ version: EtcdProcess.Version = .v3_4, tls: Bool = false, clientPort: UInt16? = nil,
        network: ProcessUnderTest? = nil, start: Bool = true, more: [String] = []
    ) async throws -> EtcdProcess {
        let certificates = tls ? try await Certificates.make(on: self) : nil
        let port = try clientPort ?? FreePorts.take()
        let seat = EtcdProcess.Seat(
            name: "member-\(port)", client: Endpoint(.loopbackV4, port: port),
            peer: Endpoint(.loopbackV4, port: try FreePorts.take()), directory: "\(try directory())/etcd-\(port)",
            more: more)
        let etcd = EtcdProcess(version: version, certificates: certificates, seat: seat, network: network, stage: self)
        try await record(version)
        if start { try await etcd.start() }
        return etcd
    }
}

extension Stage {
    /// Asks the program for its version and notes that the test uses it.
    func record(_ version: EtcdProcess.Version) async throws {
        let said = try await run(Command(version.program("etcd"), ["--version"]))
        let first = said.output.split(separator: "\n").first ?? ""
        let own = first.split(separator: " ").last.map(String.init) ?? "?"
        guard own == version.rawValue else {
            throw MissingPart("etcd \(version.rawValue) is wanted, the binary says: \(first)")
        }
        try RealParts.record("etcd", version: own, test: test)
    }

    /// A running cluster.
    package func etcdCluster(_ members: Int, _ version: EtcdProcess.Version = .v3_4) async throws -> [EtcdProcess] {
        var cluster: [EtcdProcess] = []
        for _ in 0..<members { cluster.append(try await etcd(version, start: false)) }
        for member in cluster { member.join(cluster) }
        // None of them is healthy before most of them run.
        for member in cluster { try await member.start(awaitHealth: false) }
        for member in cluster {
            try await waitFor("a cluster of \(members)") { try await member.isHealthy() }
        }
        return cluster
    }
}

/// An etcd of its own for `body`.
@discardableResult
package func withEtcd<Result>(
    version: EtcdProcess.Version = .v3_4, tls: Bool = false, load: Load = .short, test: String = #function,
    _ body: (EtcdProcess) async throws -> Result
) async throws -> Result {
    try await withStage(load, test: test) { stage in
        try await body(stage.etcd(version, tls: tls))
    }
}
