// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials
internal import GRPCCore

/// Time left on a lease and time granted, whole seconds as etcd counts.
public struct LeaseTimes: Hashable, Sendable {
    public let remaining: Duration
    public let granted: Duration
    /// What hangs on it, when that was asked for.
    public let keys: [[UInt8]]
}

/// What becomes of a lease that has been held, in the end.
public enum LeaseEnd: Hashable, Sendable {
    /// It is given back, and its keys go at once.
    case revoke
    /// It is renewed once more, and its keys stay for its whole time to live unless somebody puts them on another.
    case expire
}

extension EtcdClient {
    /// Takes a lease. - Parameter timeToLive: rounded up to seconds; etcd grants at least its election time (2 s).
    /// - Returns: the lease and what was granted.
    public func grantLease(timeToLive: Duration) async throws(EtcdError) -> (LeaseID, granted: Duration) {
        var request = Etcdserverpb_LeaseGrantRequest()
        request.ttl = timeToLive.wholeSecondsRoundedUp
        let final = request
        let reply = try await call("lease grant", isRepeatable: false) { connection, options in
            try await connection.lease.leaseGrant(final, options: options)
        }
        guard reply.id != 0, reply.ttl > 0 else {
            throw EtcdError(.other, "lease grant: the server answered \(reply.error) (TTL \(reply.ttl))")
        }
        heard(revision: reply.header.revision)
        return (LeaseID(reply.id), .seconds(reply.ttl))
    }

    /// Gives a lease back; every key on it is deleted in one revision. A lease that is gone is no error.
    public func revokeLease(_ lease: LeaseID, within limit: Duration? = nil) async throws(EtcdError) {
        var request = Etcdserverpb_LeaseRevokeRequest()
        request.id = lease.rawValue
        let final = request
        do {
            _ = try await call("lease revoke", isRepeatable: true, within: limit) { connection, options in
                try await connection.lease.leaseRevoke(final, options: options)
            }
        } catch let error where error.code == .leaseNotFound {
            return
        }
    }

    /// Time left on a lease, nil when etcd no longer knows it (its TTL is then -1, no error).
    /// - Parameter withKeys: name the keys on it, too.
    public func timeToLive(of lease: LeaseID, withKeys: Bool = false) async throws(EtcdError) -> LeaseTimes? {
        var request = Etcdserverpb_LeaseTimeToLiveRequest()
        request.id = lease.rawValue
        request.keys = withKeys
        let final = request
        let reply: Etcdserverpb_LeaseTimeToLiveResponse
        do {
            reply = try await call("lease time to live", isRepeatable: true) { connection, options in
                try await connection.lease.leaseTimeToLive(final, options: options)
            }
        } catch let error where error.code == .leaseNotFound {
            return nil
        }
        guard reply.ttl >= 0, reply.grantedTtl > 0 else { return nil }
        return LeaseTimes(
            remaining: .seconds(reply.ttl), granted: .seconds(reply.grantedTtl),
            keys: reply.keys.map { Array($0) })
    }

    /// What is done at the end is bounded: a lease that cannot be revoked, or renewed, ends by itself.
    private static let endLimit = Duration.seconds(1)

    /// Holds a lease for as long as `body` runs: granted as soon as etcd can be reached, kept alive, granted anew when
    /// etcd has lost it. When `body` ends the lease is revoked and every key on it goes, or it is left to its end
    /// (either bounded by 1 s), unless the task was cancelled: then the lease ends by itself, a time to live later.
    public func withLease<Result: Sendable>(
        timeToLive: Duration, atEnd end: LeaseEnd = .revoke, _ body: (LeaseKeeper) async throws -> Result
    ) async throws -> Result {
        let keeper = LeaseKeeper(client: self, timeToLive: timeToLive)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await keeper.run() }
            let result: Swift.Result<Result, any Error>
            do { result = .success(try await body(keeper)) } catch { result = .failure(error) }
            group.cancelAll()
            try await group.waitForAll()
            if let lease = keeper.lease {
                switch end {
                case .revoke: try? await revokeLease(lease, within: Self.endLimit)
                case .expire: _ = try? await keepAliveOnce(lease, within: Self.endLimit)
                }
            }
            return try result.get()
        }
    }
}

extension Duration {
    fileprivate var wholeSecondsRoundedUp: Int64 { components.seconds + (components.attoseconds > 0 ? 1 : 0) }
}
