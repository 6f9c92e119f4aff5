// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel

/// Three real etcds in a network of their own, on 127.0.0.1, 127.0.0.2 and 127.0.0.3, with ports and data that outlive
/// their restarts. Clients of the cluster run in that network too, in a group of their own, so that a fault can be
/// theirs alone: what a test does by hand always gets through.
package final class EtcdCluster: Sendable {
    package let members: [EtcdProcess]
    package let stage: Stage
    /// A process that holds the network, and the disks if those are limited.
    let holder: ProcessUnderTest

    fileprivate init(members: [EtcdProcess], holder: ProcessUnderTest, stage: Stage) {
        self.members = members
        self.holder = holder
        self.stage = stage
    }

    /// What clusters run: 3.4.23, or what `LEGATION_ETCD_VERSION` says (`make slow`). Never 3.5.1, which can lose
    /// consistency when a member is killed.
    package static var version: EtcdProcess.Version {
        get throws {
            guard let name = ProcessInfo.processInfo.environment["LEGATION_ETCD_VERSION"] else { return .v3_4 }
            guard let version = EtcdProcess.Version(rawValue: name), version != .v3_5 else {
                throw MissingPart("LEGATION_ETCD_VERSION is \(name); clusters run 3.4.23 or 3.5.16")
            }
            return version
        }
    }

    /// Groups of processes, by which the firewall knows who has dialled: members in order, and their clients.
    enum Group {
        static let members = 4001...4003
        static let clients = 4008
    }

    package var network: Network { .of(holder) }

    /// As `--etcd` and `--endpoints` take them.
    package var endpoints: String { members.map(\.url).joined(separator: ",") }

    package func others(than member: EtcdProcess) -> [EtcdProcess] { members.filter { $0 !== member } }

    /// Starts all, also again, and waits until each serves.
    package func start() async throws {
        // None of them serves before most of them run.
        for member in members { try await member.start(awaitHealth: false) }
        for member in members {
            try await waitFor("\(member.name) to serve") {
                if !member.isRunning { throw MissingPart("\(member.name) has ended: \(member.lastLines)") }
                return try await member.isHealthy()
            }
        }
    }

    // MARK: - Clients

    /// Starts a program among the cluster's clients.
    package func start(_ command: Command) async throws -> ProcessUnderTest {
        var command = command
        command.network = network
        command.group = Group.clients
        return try await stage.start(command)
    }

    /// Starts `legation COMMAND …` among the cluster's clients.
    package func legation(_ arguments: [String]) async throws -> ProcessUnderTest {
        try await start(LegationBinary.command(arguments))
    }

    /// Starts `etcd-mirror` among the cluster's clients and waits for its first listing.
    /// - Parameters:
    ///   - endpoints: nil for all members.
    ///   - awaitListing: false returns at once.
    package func mirror(
        _ prefix: String, endpoints: String? = nil, _ more: [String] = [], awaitListing: Bool = true
    ) async throws -> MirrorProcess {
        let file = "\(try stage.directory())/mirror-\(UUID().uuidString)"
        let command = MirrorProcess.command(prefix, endpoints: endpoints ?? self.endpoints, file: file, more)
        return try await MirrorProcess.started(
            start(command), prefix: prefix, file: file, awaitListing: awaitListing)
    }

    /// The member that a client is connected to, as the kernel says.
    package func member(of client: ProcessUnderTest) async throws -> EtcdProcess {
        let pid = try client.pid
        let words = ["-Htnp", "state", "established", "dport", "=", ":2379"]
        return try await waitForValue("the one connection of \(client)") {
            let said = try await stage.run(Command("ss", words, networkOf: holder))
            let mine = said.output.split(separator: "\n").filter { $0.contains("pid=\(pid),") }
            let found = members.filter { member in mine.contains { $0.contains(" \(member.endpoint) ") } }
            return found.count == 1 ? found[0] : nil
        }
    }
}

extension Stage {
    /// A running cluster.
    /// - Parameter diskMegabytes: the size of each member's disk, in memory, of which etcd takes 128 for its log at once;
    ///   nil for no limit.
    package func cluster(diskMegabytes: Int? = nil) async throws -> EtcdCluster {
        let version = try EtcdCluster.version
        let directory = try directory()
        let disks = EtcdCluster.Group.members.map { "\(directory)/disk-\($0)" }
        for disk in disks { try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true) }
        var script = "set -e\nip link set lo up\nnft -f - <<'END'\n\(EtcdCluster.firewall)END\n"
        if let diskMegabytes {
            // In a file system of the holder's own: gone with it, whatever happens.
            for disk in disks { script += "mount -t tmpfs -o size=\(diskMegabytes)m none \(disk)\n" }
        }
        script += "echo ready\nexec sleep infinity"
        let holder = try await start(Command("unshare", ["--net", "--mount", "sh", "-c", script]))
        try await holder.firstLine(containing: "ready")

        let members = zip(EtcdCluster.Group.members, disks).enumerated().map { number, place in
            let address = IPAddress(v4: 0x7f00_0001 + UInt32(number))
            let seat = EtcdProcess.Seat(
                name: "member-\(number + 1)", client: Endpoint(address, port: 2379),
                peer: Endpoint(address, port: 2380), directory: "\(place.1)/data", group: place.0,
                mounts: diskMegabytes == nil ? nil : holder)
            return EtcdProcess(version: version, certificates: nil, seat: seat, network: holder, stage: self)
        }
        for member in members { member.join(members) }
        try await record(version)
        let cluster = EtcdCluster(members: members, holder: holder, stage: self)
        try await cluster.start()
        return cluster
    }
}

/// A cluster of its own for `body`.
@discardableResult
package func withEtcdCluster<Result>(
    diskMegabytes: Int? = nil, load: Load = .waiting, test: String = #function,
    _ body: (EtcdCluster) async throws -> Result
) async throws -> Result {
    try await withStage(load, test: test) { stage in
        try await body(stage.cluster(diskMegabytes: diskMegabytes))
    }
}
