// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import TestSupport

/// The words of a member, in short.
extension FakeMember {
    func created(_ create: Etcdserverpb_WatchCreateRequest) -> Etcdserverpb_WatchResponse {
        .with {
            $0.header = header
            $0.watchID = create.watchID
            $0.created = true
        }
    }

    /// A create that is refused, for which etcd has no watch id to name.
    func refused(_ reason: String) -> Etcdserverpb_WatchResponse {
        .with {
            $0.header = header
            $0.watchID = -1
            $0.created = true
            $0.canceled = true
            $0.cancelReason = reason
        }
    }

    /// - Parameters:
    ///   - revision: the header's; nil is that of the last event.
    ///   - isFragment: more of the same response follows.
    func events(
        _ watchID: Int64, _ events: [Mvccpb_Event], at revision: Int64? = nil, isFragment: Bool = false
    ) -> Etcdserverpb_WatchResponse {
        .with {
            $0.header = header
            $0.header.revision = revision ?? events.last?.kv.modRevision ?? script.revision
            $0.watchID = watchID
            $0.events = events
            $0.fragment = isFragment
        }
    }

    /// Nothing happened up to here; `watchID` -1 says so to all watchers.
    func progress(_ watchID: Int64, at revision: Int64) -> Etcdserverpb_WatchResponse {
        events(watchID, [], at: revision)
    }

    func rangeResponse(
        _ keyValues: [Mvccpb_KeyValue], of request: Etcdserverpb_RangeRequest, isMore: Bool = false
    ) -> Etcdserverpb_RangeResponse {
        .with {
            $0.header = header
            $0.kvs = keyValues
            $0.more = isMore
            $0.count = Int64(keyValues.count)
        }
    }
}

extension Mvccpb_KeyValue {
    static func kv(_ key: String, _ revision: Int64, value: Data = Data()) -> Self {
        .with {
            $0.key = Data(key.utf8)
            $0.createRevision = revision
            $0.modRevision = revision
            $0.version = 1
            $0.value = value
        }
    }
}

extension Mvccpb_Event {
    static func put(_ key: String, _ revision: Int64, value: Data = Data()) -> Self {
        .with { $0.kv = .kv(key, revision, value: value) }
    }

    static func delete(_ key: String, _ revision: Int64) -> Self {
        .with {
            $0.type = .delete
            $0.kv.key = Data(key.utf8)
            $0.kv.modRevision = revision
        }
    }
}

extension FakeStream where Request == Etcdserverpb_WatchRequest {
    /// Creates that came, in order.
    var creates: [Etcdserverpb_WatchCreateRequest] {
        requests.all.compactMap { if case .createRequest(let create) = $0.requestUnion { create } else { nil } }
    }

    /// The create that came as number `index`, waited for.
    func create(_ index: Int = 0) async throws -> Etcdserverpb_WatchCreateRequest {
        try await waitForValue("create \(index) of a watch stream") {
            let creates = creates
            return index < creates.count ? creates[index] : nil
        }
    }
}

extension FakeMember {
    /// The watch stream that was opened here as number `index`, waited for.
    func watch(_ index: Int = 0) async throws -> FakeWatch {
        try await watches.first(index + 1, "watch stream \(index)")[index]
    }
}

extension RPCError {
    static func unavailable(_ message: String = "etcdserver: request timed out") -> Self {
        RPCError(code: .unavailable, message: message)
    }

    static var invalidToken: Self { RPCError(code: .unauthenticated, message: "etcdserver: invalid auth token") }
}
