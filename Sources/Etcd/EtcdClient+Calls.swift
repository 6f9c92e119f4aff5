// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import Logging

extension EtcdClient {
    /// Makes one unary call within the request timeout, on the connection of the moment.
    ///
    /// - Parameters:
    ///   - isRepeatable: whether the call may be sent again when its connection failed under it. Reads are; a write may
    ///     have happened, so it is only repeated when it never left.
    func call<Response: Sendable>(
        _ what: String, key: String? = nil, isRepeatable: Bool, within limit: Duration? = nil,
        _ body: @Sendable (EtcdConnection, CallOptions) async throws -> Response
    ) async throws(EtcdError) -> Response {
        let clock = ContinuousClock()
        let deadline = clock.now + (limit ?? configuration.requestTimeout)
        var attempt = 0
        while true {
            let connection = try await slot.connection(within: clock.now.duration(to: deadline), for: what)
            do {
                return try await body(connection, callOptions(timeout: clock.now.duration(to: deadline)))
            } catch {
                var failure = EtcdError(error, during: what, key: key)
                if failure.code == .cancelled, !Task.isCancelled {
                    failure = EtcdError(.timedOut, "\(what): no answer from \(connection.endpoint) in time", key: key)
                }
                if failure.saysNoLeader { connection.abandon() }
                attempt += 1
                guard isRepeatable, failure.code == .unavailable, clock.now < deadline else { throw failure }
                do { try await pause(afterAttempt: attempt) } catch { throw failure }
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
                leader: reply.leader, revision: Revision(reply.header.revision), databaseBytes: reply.dbSize,
                errors: reply.errors)
        } catch {
            throw EtcdError(error, during: "status of \(endpoint)")
        }
    }
}

// MARK: - Cluster and maintenance

extension EtcdClient {
    /// What the member that we are connected to says of itself.
    public func status() async throws(EtcdError) -> MemberStatus {
        try await call("status", isRepeatable: true) { connection, options in
            try await connection.status(options: options)
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
