// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import SwiftProtobuf

extension EtcdClient {
    /// Renews a lease once, on a stream of its own; whoever wants to hold one takes `withLease`.
    /// - Parameter limit: nil: the configuration's request timeout.
    /// - Returns: its time to live from now on, nil when etcd no longer knows it (its TTL is then 0, no error).
    public func keepAliveOnce(_ lease: LeaseID, within limit: Duration? = nil) async throws(EtcdError) -> Duration? {
        let request = StreamingClientRequest<Etcdserverpb_LeaseKeepAliveRequest>(metadata: Self.requireLeader) {
            writer in
            try await writer.write(.with { $0.id = lease.rawValue })
        }
        let seconds = try await call("lease keepalive", isRepeatable: true, within: limit) { connection, options in
            try await connection.lease.leaseKeepAlive(request: request, options: options) { response in
                for try await reply in response.messages { return reply.ttl }
                throw EtcdError(.unavailable, "lease keepalive: no answer")
            }
        }
        return seconds > 0 ? .seconds(seconds) : nil
    }
}
