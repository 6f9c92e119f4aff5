// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

extension EtcdCluster {
    /// Starts all, also again, and waits until each serves.
    /// - Parameter root: who asks where there are users: nobody without a password is told that a member serves.
    package func start(as root: EtcdUser? = nil) async throws {
        // None of them serves before most of them run.
        for member in members { try await member.start(awaitHealth: false) }
        for member in members { try await awaitService(of: member, as: root) }
    }

    /// Stops a member (SIGTERM), starts it again on the same ports and data, and waits until it serves.
    package func restart(_ member: EtcdProcess, as root: EtcdUser? = nil) async throws {
        try await member.restart(awaitHealth: false)
        try await awaitService(of: member, as: root)
    }

    /// Restarts one member after the other, so that there always is a quorum.
    package func restartInTurn(as root: EtcdUser? = nil) async throws {
        for member in members { try await restart(member, as: root) }
    }

    /// Stops all, then starts all.
    package func restartAtOnce(as root: EtcdUser? = nil) async throws {
        for member in members { try await member.stop() }
        try await start(as: root)
    }

    /// Waits until a member answers a read, for which it has to know all that its cluster has decided.
    func awaitService(of member: EtcdProcess, as root: EtcdUser?) async throws {
        try await waitFor("\(member.name) to serve") {
            if !member.isRunning { throw MissingPart("\(member.name) has ended: \(member.lastLines)") }
            guard let root else { return try await member.isHealthy() }
            return try await root.asking(member).control(["get", "none"]).succeeded
        }
    }
}

extension Stage {
    /// A running cluster.
    /// - Parameters:
    ///   - version: nil for `EtcdCluster.version`.
    ///   - tls: towards clients; members speak plaintext with each other.
    ///   - first: where the first member listens; the others follow.
    ///   - diskMegabytes: the size of each member's disk, in memory, of which etcd takes 128 for its log at once; nil
    ///     for no limit.
    ///   - start: false leaves it to the test to start it.
    ///   - more: added to each member's arguments.
    package func cluster(
        _ version: EtcdProcess.Version? = nil, tls: Bool = false, first: IPAddress = .loopbackV4,
        diskMegabytes: Int? = nil, start: Bool = true, more: [String] = []
    ) async throws -> EtcdCluster {
        let version = try version ?? EtcdCluster.version
        guard let bits = first.v4 else { throw MissingPart("\(first) is no IPv4 address") }
        let addresses = (0..<3).map { IPAddress(v4: bits + $0) }
        let directory = try directory()
        let disks = EtcdCluster.Group.members.map { "\(directory)/disk-\($0)" }
        for disk in disks { try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true) }
        var script = "set -e\nip link set lo up\nnft -f - <<'END'\n\(EtcdCluster.firewall)END\n"
        for address in addresses where !address.isLoopback { script += "ip addr add \(address)/32 dev lo\n" }
        if let diskMegabytes {
            // In a file system of the holder's own: gone with it, whatever happens.
            for disk in disks { script += "mount -t tmpfs -o size=\(diskMegabytes)m none \(disk)\n" }
        }
        script += "echo ready\nexec sleep infinity"
        let holder = try await self.start(Command("unshare", ["--net", "--mount", "sh", "-c", script]))
        try await holder.firstLine(containing: "ready")

        let certificates = tls ? try await Certificates.make(on: self) : nil
        let members = zip(EtcdCluster.Group.members, disks).enumerated().map { number, place in
            let address = addresses[number]
            let seat = EtcdProcess.Seat(
                name: "member-\(number + 1)", client: Endpoint(address, port: 2379),
                peer: Endpoint(address, port: 2380), directory: "\(place.1)/data", group: place.0,
                mounts: diskMegabytes == nil ? nil : holder, more: more)
            return EtcdProcess(
                version: version, certificates: certificates, seat: seat, network: holder, stage: self)
        }
        for member in members { member.join(members) }
        try await record(version)
        let cluster = EtcdCluster(members: members, holder: holder, stage: self)
        if start { try await cluster.start() }
        return cluster
    }
}

/// A cluster of its own for `body`; the other parameters are those of `Stage.cluster`.
/// - Parameter load: `.waiting` for the few tests that wait for half a minute or more, so that they begin at once.
@discardableResult
package func withEtcdCluster<Result>(
    _ version: EtcdProcess.Version? = nil, tls: Bool = false, first: IPAddress = .loopbackV4,
    diskMegabytes: Int? = nil, start: Bool = true, more: [String] = [], load: Load = .cluster,
    test: String = #function, _ body: (EtcdCluster) async throws -> Result
) async throws -> Result {
    try await withStage(load, test: test) { stage in
        let cluster = try await stage.cluster(
            version, tls: tls, first: first, diskMegabytes: diskMegabytes, start: start, more: more)
        return try await body(cluster)
    }
}
