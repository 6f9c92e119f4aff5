// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials
internal import GRPCCore
internal import Synchronization

/// Who may answer a read.
public enum Consistency: Hashable, Sendable {
    /// A member that has asked the leader: what was written before the call is seen.
    case linearizable
    /// Any member by itself, also one without a leader: perhaps an older state.
    case serializable
}

extension EtcdClient {
    /// Everything in `range`, in pages at one pinned revision: that of the first page.
    ///
    /// A page that finds the revision compacted meanwhile starts the list again.
    /// - Parameters:
    ///   - keysOnly: leave values empty.
    ///   - revision: how the range stood then; nil: how it stands.
    /// - Throws: `.compacted` when `revision` is given, and gone.
    public func list(
        _ range: KeyRange, keysOnly: Bool = false, at revision: Revision? = nil,
        consistency: Consistency = .linearizable
    ) async throws(EtcdError) -> Listing {
        var request = Etcdserverpb_RangeRequest()
        request.key = Data(range.start)
        request.rangeEnd = Data(range.end)
        request.limit = configuration.pageSize
        request.keysOnly = keysOnly
        request.serializable = consistency == .serializable
        request.revision = revision?.rawValue ?? 0
        if consistency == .serializable { unconfirmedReads.withLock { $0.begin() } }
        defer { if consistency == .serializable { unconfirmedReads.withLock { $0.end() } } }
        while true {
            do {
                return try await listOnce(request, of: range)
            } catch {
                guard error.code == .compacted, revision == nil else { throw error }
            }
        }
    }

    private func listOnce(
        _ first: Etcdserverpb_RangeRequest, of range: KeyRange
    ) async throws(EtcdError) -> Listing {
        var request = first
        var found: [KeyValue] = []
        while true {
            let page: Etcdserverpb_RangeResponse
            do {
                page = try await self.page(request, of: range)
            } catch {
                // Few keys with large values do in several answers what one is too small for.
                guard error.saysUnreadable, request.limit > 1 else { throw error }
                request.limit /= 2
                continue
            }
            found += page.kvs.map { KeyValue($0) }
            if request.revision == 0 { request.revision = page.header.revision }
            guard page.more, let last = page.kvs.last else {
                return Listing(revision: Revision(request.revision), keyValues: found)
            }
            // The key right behind the last one in byte order.
            request.key = last.key + [0]
        }
    }

    private func page(
        _ request: Etcdserverpb_RangeRequest, of range: KeyRange
    ) async throws(EtcdError) -> Etcdserverpb_RangeResponse {
        let consistency: Consistency = request.serializable ? .serializable : .linearizable
        let reply = try await call(
            "list", key: range.description, isRepeatable: true, consistency: consistency
        ) { connection, options in
            try await connection.kv.range(request, options: options)
        }
        heard(revision: reply.header.revision)
        return reply
    }

    /// One key as it stands, nil when it does not.
    public func get(
        _ key: String, consistency: Consistency = .linearizable
    ) async throws(EtcdError) -> KeyValue? {
        try await list(.key(key), consistency: consistency).keyValues.first
    }

    /// How many keys stand in `range`.
    public func count(_ range: KeyRange) async throws(EtcdError) -> Int64 {
        var request = Etcdserverpb_RangeRequest()
        request.key = Data(range.start)
        request.rangeEnd = Data(range.end)
        request.countOnly = true
        return try await page(request, of: range).count
    }

    /// Writes one key, whatever stands there. - Returns: the revision of the write.
    @discardableResult
    public func put(_ key: String, _ value: [UInt8], lease: LeaseID? = nil) async throws(EtcdError) -> Revision {
        try await transaction(if: [], then: [.put(key: Array(key.utf8), value: value, lease: lease)]).revision
    }

    /// Deletes what is in `range`. - Returns: the revision after it.
    @discardableResult
    public func delete(_ range: KeyRange) async throws(EtcdError) -> Revision {
        try await transaction(if: [], then: [.delete(range)]).revision
    }

    /// Does all of `operations` if all of `comparisons` hold, all of `alternative` otherwise. One change of history.
    /// - Parameters:
    ///   - operations: at most 128 unless the server was told otherwise (`--max-txn-ops`); so is `alternative`.
    public func transaction(
        if comparisons: [Comparison], then operations: [Operation], else alternative: [Operation] = []
    ) async throws(EtcdError) -> TransactionResult {
        var request = Etcdserverpb_TxnRequest()
        request.compare = comparisons.map { Etcdserverpb_Compare($0) }
        request.success = operations.map { Etcdserverpb_RequestOp($0) }
        request.failure = alternative.map { Etcdserverpb_RequestOp($0) }
        let what = operations.count == 1 ? "write" : "write of \(operations.count) keys"
        let final = request
        let reply = try await call(what, key: operations.first?.keyText, isRepeatable: false) { connection, options in
            try await connection.kv.txn(final, options: options)
        }
        heard(revision: reply.header.revision)
        return TransactionResult(
            succeeded: reply.succeeded, revision: Revision(reply.header.revision),
            steps: reply.responses.map { TransactionResult.Step($0) })
    }

    /// Forgets history before `revision`. For tools and tests: it is the cluster's operator who compacts.
    public func compact(before revision: Revision) async throws(EtcdError) {
        var request = Etcdserverpb_CompactionRequest()
        request.revision = revision.rawValue
        request.physical = true
        let final = request
        _ = try await call("compact", isRepeatable: false) { connection, options in
            try await connection.kv.compact(final, options: options)
        }
    }
}

extension KeyValue {
    init(_ message: Mvccpb_KeyValue) {
        self.init(
            key: Array(message.key), value: Array(message.value), createRevision: Revision(message.createRevision),
            modRevision: Revision(message.modRevision), version: message.version,
            lease: message.lease == 0 ? nil : LeaseID(message.lease))
    }
}
