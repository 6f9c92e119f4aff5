// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import SwiftProtobuf
import Synchronization
import TestSupport

typealias FakeWatch = FakeStream<Etcdserverpb_WatchRequest, Etcdserverpb_WatchResponse>
typealias FakeKeepAlive = FakeStream<Etcdserverpb_LeaseKeepAliveRequest, Etcdserverpb_LeaseKeepAliveResponse>

/// A member of etcd that says what a test wants, for what a real one cannot be made to say at the right moment. It keeps no
/// history and obeys no law: the script decides every answer.
final class FakeMember: Sendable {
    /// What it answers. The answers of a member that is well, until a test says otherwise.
    struct Script: Sendable {
        var clusterID: UInt64 = 0xc1
        var memberID: UInt64 = 1
        /// 0: it knows none.
        var leader: UInt64 = 1
        var isLearner = false
        var term: UInt64 = 2
        var revision: Int64 = 10
        var version = "3.5.16"
        /// Asked before any call is answered, with the method's name and the token that came.
        var admit: @Sendable (String, String?) throws -> Void = { _, _ in }
        /// Before a status is told; it may change the script.
        var onStatus: @Sendable (FakeMember) -> Void = { _ in }
        var range: @Sendable (FakeMember, Etcdserverpb_RangeRequest) async throws -> Etcdserverpb_RangeResponse = {
            $0.rangeResponse([], of: $1)
        }
        var txn: @Sendable (FakeMember, Etcdserverpb_TxnRequest) async throws -> Etcdserverpb_TxnResponse = {
            member, _ in
            .with {
                $0.header = member.header; $0.succeeded = true
            }
        }
        var authenticate: @Sendable (Etcdserverpb_AuthenticateRequest) async throws -> String = { _ in
            throw RPCError(code: .failedPrecondition, message: "etcdserver: authentication is not enabled")
        }
        var members: @Sendable () async throws -> [Etcdserverpb_Member] = { [] }
        var grant: @Sendable (Etcdserverpb_LeaseGrantRequest) async throws -> (id: Int64, ttl: Int64) = { (7, $0.ttl) }
        /// Nil: without an answer.
        var keepAlive: @Sendable (Int64) -> Int64? = { _ in 10 }
        /// What is done with each request of a watch stream; creates are confirmed.
        var watch: @Sendable (FakeMember, Etcdserverpb_WatchRequest, FakeWatch) -> Void = { member, request, stream in
            guard case .createRequest(let create) = request.requestUnion else { return }
            stream.send(member.created(create))
        }
    }

    private let scripted: Mutex<Script>
    /// Names of the methods that were called, in order, streams included.
    let calls = Recorder<String>()
    let ranges = Recorder<Etcdserverpb_RangeRequest>()
    let watches = Recorder<FakeWatch>()
    let keepAlives = Recorder<FakeKeepAlive>()
    let authentications = Recorder<Etcdserverpb_AuthenticateRequest>()

    init(_ script: Script = Script()) { scripted = Mutex(script) }

    var script: Script { scripted.withLock { $0 } }

    func change(_ edit: @Sendable (inout Script) -> Void) { scripted.withLock { edit(&$0) } }

    func count(of method: String) -> Int { calls.all.count { $0 == method } }

    var header: Etcdserverpb_ResponseHeader {
        let script = script
        return .with {
            $0.clusterID = script.clusterID
            $0.memberID = script.memberID
            $0.revision = script.revision
            $0.raftTerm = script.term
        }
    }
}
