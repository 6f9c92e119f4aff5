// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials
internal import SwiftProtobuf
internal import Synchronization

/// When a stream last said anything.
final class LastHeard: Sendable {
    private let heard = Mutex(ContinuousClock.now)

    var instant: ContinuousClock.Instant { heard.withLock { $0 } }

    func touch() { heard.withLock { $0 = .now } }
}

extension Etcdserverpb_WatchRequest {
    static func create(_ watchID: Int64, _ range: KeyRange, from revision: Revision) -> Self {
        .with {
            $0.createRequest.key = Data(range.start)
            $0.createRequest.rangeEnd = Data(range.end)
            $0.createRequest.startRevision = revision.rawValue
            $0.createRequest.watchID = watchID
            // So that an idle range survives compaction: the server reports about every ten minutes.
            $0.createRequest.progressNotify = true
            $0.createRequest.fragment = true
        }
    }
}

extension WatchStateMachine.Response {
    init(_ message: Etcdserverpb_WatchResponse) {
        self.init(
            watchID: message.watchID, revision: Revision(message.header.revision), isCreated: message.created,
            isCanceled: message.canceled, compactRevision: Revision(message.compactRevision),
            cancelReason: message.cancelReason, isFragment: message.fragment,
            changes: message.events.map { event in
                event.type == .delete
                    ? .delete(key: Array(event.kv.key), Revision(event.kv.modRevision)) : .put(KeyValue(event.kv))
            })
    }
}
