// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore

extension EtcdClient {
    /// What the member that we are connected to says of itself.
    public func status() async throws(EtcdError) -> MemberStatus {
        try await call("status", isRepeatable: true) { connection, options in
            try await connection.status(options: options)
        }
    }

    /// A hash over all keys, their values and history up to `revision`, as the member that we are connected to keeps them:
    /// members of one cluster agree on it, or one is corrupt.
    /// - Parameter revision: nil: the member's newest; then compare with members at the same one.
    public func hash(at revision: Revision? = nil) async throws(EtcdError) -> MemberHash {
        var request = Etcdserverpb_HashKVRequest()
        request.revision = revision?.rawValue ?? 0
        let final = request
        return try await call("hash", isRepeatable: true) { connection, options in
            let reply = try await connection.maintenance.hashKV(final, options: options)
            return MemberHash(
                memberID: reply.header.memberID, revision: Revision(reply.header.revision), hash: reply.hash,
                compactRevision: Revision(reply.compactRevision))
        }
    }

    /// The members as the cluster lists them. Client URLs are the members' word and may not be routable from here.
    public func memberList() async throws(EtcdError) -> [Member] {
        try await call("member list", isRepeatable: true) { connection, options in
            let reply = try await connection.cluster.memberList(Etcdserverpb_MemberListRequest(), options: options)
            return reply.members.map {
                Member(id: $0.id, name: $0.name, clientURLs: $0.clientUrls, isLearner: $0.isLearner)
            }
        }
    }
}

extension EtcdConnection {
    func status(options: CallOptions) async throws -> MemberStatus {
        do {
            let reply = try await maintenance.status(Etcdserverpb_StatusRequest(), options: options)
            return MemberStatus(
                clusterID: reply.header.clusterID, memberID: reply.header.memberID, version: reply.version,
                leader: reply.leader, isLearner: reply.isLearner, revision: Revision(reply.header.revision),
                term: reply.raftTerm, databaseBytes: reply.dbSize, errors: reply.errors)
        } catch {
            throw EtcdError(error, during: "status of \(endpoint)")
        }
    }
}
