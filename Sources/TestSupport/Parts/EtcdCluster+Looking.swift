// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

extension EtcdProcess {
    /// What a member says of itself.
    package struct Status: Sendable {
        package let clusterID: UInt64
        package let memberID: UInt64
        /// 0: none.
        package let leader: UInt64
        package let term: Int64
    }

    package func status() async throws -> Status {
        // Members that are paused are asked too, and again and again.
        let answer: StatusAnswer = try await ask("maintenance/status", "{}", limit: .seconds(2))
        return Status(
            clusterID: UInt64(answer.header.cluster_id) ?? 0, memberID: UInt64(answer.header.member_id) ?? 0,
            leader: answer.leader.flatMap { UInt64($0) } ?? 0, term: Int64(answer.header.raft_term ?? "0") ?? 0)
    }
}

/// The gateway's JSON, with its names.
private struct StatusAnswer: Decodable, Sendable {
    struct Header: Decodable, Sendable {
        let cluster_id: String
        let member_id: String
        let raft_term: String?
    }
    let header: Header
    let leader: String?
}

extension EtcdByHand {
    /// What `etcdctl get --prefix` shows, in key order.
    package func table(_ prefix: String) async throws -> [MirrorProcess.Entry] {
        let said = try await ctl("get", "--prefix", "-w", "json", "--", prefix)
        return try JSONDecoder().decode(GetAnswer.self, from: Data(said.utf8)).kvs?.map(\.entry) ?? []
    }
}

/// What etcdctl prints: unlike the gateway, with plain numbers.
private struct GetAnswer: Decodable {
    struct KeyValue: Decodable {
        let key: Data
        let value: Data?
        let mod_revision: Int64

        var entry: MirrorProcess.Entry {
            MirrorProcess.Entry(
                key: String(decoding: key, as: UTF8.self), modRevision: mod_revision,
                value: String(decoding: value ?? Data(), as: UTF8.self))
        }
    }
    let kvs: [KeyValue]?
}

extension EtcdCluster {
    /// The leader, waited for.
    /// - Parameter among: nil for all members.
    package func leader(among: [EtcdProcess]? = nil) async throws -> EtcdProcess {
        try await waitForValue("a leader") {
            for member in among ?? members {
                guard let status = try? await member.status() else { continue }
                if status.leader == status.memberID { return member }
            }
            return nil
        }
    }

    /// Waits until all members know the same leader in the same term.
    package func awaitAgreement() async throws {
        try await waitFor("members to agree on a leader") {
            var seen: Set<[UInt64]> = []
            for member in members {
                let status = try await member.status()
                seen.insert([status.leader, UInt64(clamping: status.term)])
            }
            return seen.count == 1 && seen.first?.first != 0
        }
    }

    /// Hands the leadership to a member.
    package func makeLeader(_ member: EtcdProcess) async throws {
        let leader = try await leader()
        guard leader !== member else { return }
        try await leader.ctl("move-leader", String(try await member.status().memberID, radix: 16))
        try await waitFor("\(member.name) to lead") { try await self.leader() === member }
    }

    /// Waits until all members have the same keys, by `etcdctl endpoint hashkv`.
    /// - Parameter root: who asks where there are users.
    package func awaitEqualHashes(as root: EtcdUser? = nil) async throws {
        try await waitFor("equal hashes of all members") {
            var said: [String] = []
            for member in members {
                let asked: any EtcdByHand = root?.asking(member) ?? member
                said.append(try await asked.ctl("endpoint", "hashkv"))
            }
            // Each: endpoint, hash.
            guard Set(said.map { $0.split(separator: " ").last }).count == 1 else { throw Unexpected("\(said)") }
            return true
        }
    }
}
