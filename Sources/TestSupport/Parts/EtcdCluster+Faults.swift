// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel

extension EtcdCluster {
    // MARK: - Network

    /// Each connection remembers who dialled it: 1 to 3 a member, 8 a client. Addresses alone do not tell, since all
    /// dial from 127.0.0.1.
    static let firewall = """
        table inet faults {
            chain dialled {
                type filter hook output priority -10;
                ct state new meta skgid 4001 ct mark set 1
                ct state new meta skgid 4002 ct mark set 2
                ct state new meta skgid 4003 ct mark set 3
                ct state new meta skgid \(Group.clients) ct mark set 8
            }
            chain drops {
                type filter hook output priority 0;
            }
        }

        """

    /// Nothing passes any more between the member and its peers; clients of either still reach it.
    package func partition(_ member: EtcdProcess) async throws {
        guard let number = members.firstIndex(where: { $0 === member }) else { throw MissingPart("no such member") }
        let address = member.endpoint.address
        try await drop([
            "tcp dport 2380 ct mark \(number + 1)", "tcp sport 2380 ct mark \(number + 1)",
            "ip daddr \(address) tcp dport 2380", "ip saddr \(address) tcp sport 2380",
        ])
    }

    /// Nothing passes any more between clients and these members; nobody is told.
    package func blackhole(_ members: [EtcdProcess]) async throws {
        try await drop(
            members.flatMap { member in
                [
                    "ct mark 8 ip daddr \(member.endpoint.address) tcp dport 2379",
                    "ct mark 8 ip saddr \(member.endpoint.address) tcp sport 2379",
                ]
            })
    }

    /// Ends partitions and black holes.
    package func heal() async throws { try await nft("flush chain inet faults drops") }

    private func drop(_ what: [String]) async throws {
        try await nft(what.map { "add rule inet faults drops \($0) drop" }.joined(separator: "; "))
    }

    private func nft(_ commands: String) async throws {
        let outcome = try await stage.run(Command("nft", [commands], networkOf: holder))
        guard outcome.succeeded else { throw MissingPart("\(outcome)") }
    }

    // MARK: - Disks

    /// Leaves no byte on the disks of these members, which have a limit.
    package func fillDisks(_ members: [EtcdProcess]) async throws {
        for member in members {
            // Ends with status 1: no space left.
            let words = ["if=/dev/zero", "of=\(fill(of: member))", "bs=64k"]
            let outcome = try await onDisks("dd", words)
            guard outcome.errors.contains("No space left") else { throw Unexpected("\(outcome)") }
        }
    }

    package func freeDisks(_ members: [EtcdProcess]) async throws {
        for member in members {
            let outcome = try await onDisks("rm", [fill(of: member)])
            guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        }
    }

    private func fill(of member: EtcdProcess) -> String { "\(member.directory)-fill" }

    private func onDisks(_ program: String, _ words: [String]) async throws -> Outcome {
        var command = Command(program, words)
        command.mountsOf = holder
        return try await stage.run(command)
    }

    // MARK: - History

    /// - Returns: the file.
    package func saveSnapshot(of member: EtcdProcess) async throws -> String {
        let file = "\(try stage.directory())/snapshot-\(UUID().uuidString)"
        try await member.ctl("snapshot", "save", file)
        return file
    }

    /// Stops all members and starts them with the state of a snapshot, on the same ports and data.
    /// - Parameter token: another one than etcd's own makes it another cluster.
    package func restore(_ file: String, token: String = "etcd-cluster") async throws {
        for member in members { try await member.stop() }
        for member in members {
            try FileManager.default.removeItem(atPath: member.directory)
            let words = [
                "snapshot", "restore", file, "--name", member.name, "--data-dir", member.directory,
                "--initial-cluster", member.initialCluster, "--initial-advertise-peer-urls", member.peerURL,
                "--initial-cluster-token", token,
            ]
            let outcome = try await stage.run(
                Command(member.version.program("etcdctl"), words, environment: ["ETCDCTL_API": "3"]))
            guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        }
        try await start()
    }
}
