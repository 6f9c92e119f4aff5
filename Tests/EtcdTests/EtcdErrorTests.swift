// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import GRPCCore
import Testing

@testable import Etcd

/// What becomes of etcd's own words (api/v3rpc/rpctypes/error.go).
@Suite struct EtcdErrorTests {
    private static let table: [(RPCError.Code, String, EtcdError.Code)] = [
        (.unavailable, "etcdserver: no leader", .unavailable),
        (.unavailable, "etcdserver: leader changed", .unavailable),
        (.unavailable, "etcdserver: request timed out", .unavailable),
        (.unavailable, "etcdserver: request timed out, possibly due to previous leader failure", .unavailable),
        (.unavailable, "etcdserver: server stopped", .unavailable),
        (.unavailable, "etcdserver: unhealthy cluster", .unavailable),
        (.internalError, "transport is closing", .unavailable),
        (.deadlineExceeded, "context deadline exceeded", .timedOut),
        (.resourceExhausted, "etcdserver: mvcc: database space exceeded", .outOfSpace),
        (.resourceExhausted, "etcdserver: too many requests", .unavailable),
        (.internalError, "Failed to decode message", .other),
        (.unavailable, "etcdserver: rpc not supported for learner", .unavailable),
        (.failedPrecondition, "etcdserver: rpc not supported for learner", .unavailable),
        (.outOfRange, "etcdserver: mvcc: required revision has been compacted", .compacted),
        (.outOfRange, "etcdserver: mvcc: required revision is a future revision", .compacted),
        (.notFound, "etcdserver: requested lease not found", .leaseNotFound),
        (.permissionDenied, "etcdserver: permission denied", .permissionDenied),
        (.unauthenticated, "etcdserver: invalid auth token", .unauthenticated),
        (.invalidArgument, "etcdserver: user name is empty", .unauthenticated),
        (.invalidArgument, "etcdserver: revision of auth store is old", .unauthenticated),
        (.invalidArgument, "etcdserver: request is too large", .invalidArgument),
        (.invalidArgument, "etcdserver: too many operations in txn request", .invalidArgument),
        (.failedPrecondition, "etcdserver: authentication is not enabled", .invalidArgument),
        (.dataLoss, "etcdserver: corrupt cluster", .dataLoss),
        (.unimplemented, "unknown service", .other),
    ]

    @Test(arguments: table.indices) func everyCodeIsDecided(row: Int) {
        let (code, text, expected) = Self.table[row]
        let error = EtcdError(RPCError(code: code, message: text), during: "put", key: "/a")
        #expect(error.code == expected)
        #expect(error.message == "put: \(text)" && error.key == "/a")
        #expect(error.cause is RPCError)
    }

    @Test func onlyWhatWaitingCanMendIsTransient() {
        let transient = Set(Self.table.map(\.2)).filter { EtcdError($0, "").isTransient }
        #expect(transient == [.unavailable, .timedOut])
    }

    @Test func noLeaderIsToldFromOtherTrouble() {
        let error = EtcdError(RPCError(code: .unavailable, message: "etcdserver: no leader"), during: "watch")
        #expect(error.saysNoLeader)
        #expect(!EtcdError(.unavailable, "etcdserver: leader changed").saysNoLeader)
    }

    @Test func showsKeyAndRevision() {
        let error = EtcdError(.compacted, "list", key: "/a", revision: Revision(7))
        #expect("\(error)" == "compacted: list [key /a] [revision 7]")
    }
}
