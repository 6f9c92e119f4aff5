// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import SwiftProtobuf
import TestSupport

/// Lets the script see what comes with each call before it is answered.
struct FakeGate: ServerInterceptor {
    let member: FakeMember

    @concurrent func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next:
            @Sendable @concurrent (StreamingServerRequest<Input>, ServerContext) async throws ->
            StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let method = context.descriptor.method
        member.calls.record(method)
        try member.script.admit(method, request.metadata.token)
        return try await next(request, context)
    }
}

struct FakeKV: Etcdserverpb_KV.SimpleServiceProtocol {
    let member: FakeMember

    func range(
        request: Etcdserverpb_RangeRequest, context: ServerContext
    ) async throws -> Etcdserverpb_RangeResponse {
        member.ranges.record(request)
        return try await member.script.range(member, request)
    }

    func txn(request: Etcdserverpb_TxnRequest, context: ServerContext) async throws -> Etcdserverpb_TxnResponse {
        try await member.script.txn(member, request)
    }

    func put(request: Etcdserverpb_PutRequest, context: ServerContext) async throws -> Etcdserverpb_PutResponse {
        .with { $0.header = member.header }
    }

    func deleteRange(
        request: Etcdserverpb_DeleteRangeRequest, context: ServerContext
    ) async throws -> Etcdserverpb_DeleteRangeResponse {
        .with { $0.header = member.header }
    }

    func compact(
        request: Etcdserverpb_CompactionRequest, context: ServerContext
    ) async throws -> Etcdserverpb_CompactionResponse {
        .with { $0.header = member.header }
    }
}

struct FakeWatchService: Etcdserverpb_Watch.StreamingServiceProtocol {
    let member: FakeMember

    func watch(
        request: StreamingServerRequest<Etcdserverpb_WatchRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Etcdserverpb_WatchResponse> {
        let stream = FakeWatch(request.metadata)
        member.watches.record(stream)
        return StreamingServerResponse { writer in
            try await stream.serve(request.messages, writer) { [member] in member.script.watch(member, $0, $1) }
            return [:]
        }
    }
}

struct FakeLease: Etcdserverpb_Lease.ServiceProtocol {
    let member: FakeMember

    func leaseGrant(
        request: ServerRequest<Etcdserverpb_LeaseGrantRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseGrantResponse> {
        let (id, ttl) = try await member.script.grant(request.message)
        return ServerResponse(
            message: .with {
                $0.header = member.header
                $0.id = id
                $0.ttl = ttl
            })
    }

    func leaseRevoke(
        request: ServerRequest<Etcdserverpb_LeaseRevokeRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseRevokeResponse> {
        ServerResponse(message: .with { $0.header = member.header })
    }

    func leaseKeepAlive(
        request: StreamingServerRequest<Etcdserverpb_LeaseKeepAliveRequest>, context: ServerContext
    ) async throws -> StreamingServerResponse<Etcdserverpb_LeaseKeepAliveResponse> {
        let stream = FakeKeepAlive(request.metadata)
        member.keepAlives.record(stream)
        return StreamingServerResponse { writer in
            try await stream.serve(request.messages, writer) { [member] request, stream in
                guard let ttl = member.script.keepAlive(request.id) else { return }
                stream.send(
                    .with {
                        $0.header = member.header
                        $0.id = request.id
                        $0.ttl = ttl
                    })
            }
            return [:]
        }
    }

    func leaseTimeToLive(
        request: ServerRequest<Etcdserverpb_LeaseTimeToLiveRequest>, context: ServerContext
    ) async throws -> ServerResponse<Etcdserverpb_LeaseTimeToLiveResponse> {
        throw RPCError(code: .notFound, message: "etcdserver: requested lease not found")
    }
}

struct FakeCluster: Etcdserverpb_Cluster.SimpleServiceProtocol {
    let member: FakeMember

    func memberList(
        request: Etcdserverpb_MemberListRequest, context: ServerContext
    ) async throws -> Etcdserverpb_MemberListResponse {
        let members = try await member.script.members()
        return .with {
            $0.header = member.header
            $0.members = members
        }
    }
}

struct FakeMaintenance: Etcdserverpb_Maintenance.SimpleServiceProtocol {
    let member: FakeMember

    func status(
        request: Etcdserverpb_StatusRequest, context: ServerContext
    ) async throws -> Etcdserverpb_StatusResponse {
        member.script.onStatus(member)
        let script = member.script
        return .with {
            $0.header = member.header
            $0.version = script.version
            $0.leader = script.leader
            $0.isLearner = script.isLearner
            $0.raftTerm = script.term
        }
    }

    func hashKV(
        request: Etcdserverpb_HashKVRequest, context: ServerContext
    ) async throws -> Etcdserverpb_HashKVResponse {
        .with { $0.header = member.header }
    }
}

struct FakeAuth: Etcdserverpb_Auth.SimpleServiceProtocol {
    let member: FakeMember

    func authenticate(
        request: Etcdserverpb_AuthenticateRequest, context: ServerContext
    ) async throws -> Etcdserverpb_AuthenticateResponse {
        member.authentications.record(request)
        let token = try await member.script.authenticate(request)
        return .with {
            $0.header = member.header
            $0.token = token
        }
    }
}
