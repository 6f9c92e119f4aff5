// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// The state of a `MemoryStore` and its rules; no locks, no time of its own.
///
/// Times are spans since an arbitrary start that the caller keeps to. Every change of the store, a transaction or the
/// end of a lease, is one revision.
struct MemoryHistory {
    private struct Lease {
        let timeToLive: Duration
        /// Nil while its owner is alive in this process, which cannot lose touch with its own memory.
        var deadline: Duration?
        var keys: Set<[UInt8]> = []
    }

    /// etcd's default limit of operations in a transaction (`--max-txn-ops`).
    static let maximumWrites = 128
    /// etcd's default limit of a request (`--max-request-bytes`, 1.5 MiB).
    static let maximumBytes = 1_572_864

    /// etcd's first revision, too, is 1: an empty store.
    private(set) var revision: Int64 = 1
    /// Changes up to here are no longer in history.
    private var compacted: Int64 = 0
    /// By bytes: two spellings of é are two keys, in the order that etcd would list them.
    private var entries: [[UInt8]: RegistryEntry] = [:]
    private var leases: [RegistryLease: Lease] = [:]
    private var lastLease: Int64 = 0
    /// Consecutive revisions, the last one `revision`; trimmed in one go at twice the limit.
    private var history: [[RegistryChange]] = [[]]
    private let limit: Int

    /// - Parameter limit: revisions of history to keep, at least 1.
    init(limit: Int) { self.limit = max(1, limit) }

    // MARK: Reading

    func list(_ range: RegistryRange, keysOnly: Bool = false) -> RegistryListing {
        var found: [RegistryEntry] = []
        switch range {
        case .key(let key):
            if let entry = entries[Array(key.utf8)] { found = [entry] }
        case .prefix, .span:
            found = entries.filter { range.contains($0.value.key) }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        }
        if keysOnly {
            found = found.map {
                RegistryEntry(key: $0.key, value: [], modRevision: $0.modRevision, lease: $0.lease)
            }
        }
        return RegistryListing(revision: revision, entries: found)
    }

    /// What a watch that has seen everything before `next` is to be told now.
    /// - Returns: the event, nil when there is none yet, and the revision to ask from the next time.
    func event(in range: RegistryRange, from next: Int64) -> (event: RegistryEvent?, next: Int64) {
        guard next > compacted else {
            let listing = list(range)
            return (.reset(listing), listing.revision + 1)
        }
        var revision = next
        while revision <= self.revision {
            let changes = self.changes(at: revision).filter { range.contains($0.key) }
            if !changes.isEmpty { return (.changes(revision: revision, changes), revision + 1) }
            revision += 1
        }
        return (nil, max(next, revision))
    }

    func remaining(of lease: RegistryLease, now: Duration) -> Duration? {
        guard let lease = leases[lease] else { return nil }
        guard let deadline = lease.deadline else { return lease.timeToLive }
        return deadline > now ? deadline - now : nil
    }

    // MARK: Writing

    /// - Returns: the revision, nil when a guard does not hold.
    mutating func commit(_ writes: [RegistryWrite]) throws(RegistryError) -> Int64? {
        try Self.validate(writes)
        for write in writes {
            let standing = entries[Array(write.key.utf8)]?.modRevision
            switch write.condition {
            case .absent where standing != nil: return nil
            case .unchanged(let revision) where revision != standing: return nil
            default: break
            }
        }
        for case .put(_, let lease?) in writes.map(\.operation) where leases[lease] == nil {
            throw RegistryError(.leaseNotFound, "lease \(lease) is not known")
        }
        apply(writes)
        return revision
    }

    private mutating func apply(_ writes: [RegistryWrite]) {
        var changes: [RegistryChange] = []
        for write in writes {
            let key = Array(write.key.utf8)
            let standing = entries[key]
            if let lease = standing?.lease { leases[lease]?.keys.remove(key) }
            switch write.operation {
            case .put(let value, let lease):
                let entry = RegistryEntry(key: write.key, value: value, modRevision: revision + 1, lease: lease)
                entries[key] = entry
                if let lease { leases[lease]?.keys.insert(key) }
                changes.append(.upsert(entry))
            case .delete where standing != nil:
                entries[key] = nil
                changes.append(.remove(key: write.key))
            case .delete: break
            }
        }
        record(changes)
    }

    private static func validate(_ writes: [RegistryWrite]) throws(RegistryError) {
        guard (1...maximumWrites).contains(writes.count) else {
            throw RegistryError(.invalid, "\(writes.count) writes in a transaction; allowed are 1...\(maximumWrites)")
        }
        var keys: Set<[UInt8]> = []
        var bytes = 0
        for write in writes {
            guard !write.key.isEmpty, keys.insert(Array(write.key.utf8)).inserted else {
                throw RegistryError(.invalid, "a key is empty or written twice in a transaction", key: write.key)
            }
            bytes += write.key.utf8.count
            if case .put(let value, _) = write.operation { bytes += value.count }
        }
        guard bytes <= maximumBytes else {
            throw RegistryError(.invalid, "\(bytes) bytes in a transaction; allowed are \(maximumBytes)")
        }
    }

    // MARK: Leases

    /// - Parameter deadline: when it ends by itself; nil: only by `revoke`.
    mutating func grant(timeToLive: Duration, deadline: Duration?) -> RegistryLease {
        lastLease += 1
        let lease = RegistryLease(lastLease)
        leases[lease] = Lease(timeToLive: timeToLive, deadline: deadline)
        return lease
    }

    /// Nobody keeps it any more: it ends when its time is over.
    mutating func leave(_ lease: RegistryLease, now: Duration) {
        guard let timeToLive = leases[lease]?.timeToLive else { return }
        leases[lease]?.deadline = now + timeToLive
    }

    /// Ends a lease and, in one revision, its keys. - Returns: whether it was known.
    mutating func revoke(_ lease: RegistryLease) -> Bool {
        guard let ended = leases.removeValue(forKey: lease) else { return false }
        let keys = ended.keys.sorted { $0.lexicographicallyPrecedes($1) }
        record(keys.compactMap { entries.removeValue(forKey: $0).map { .remove(key: $0.key) } })
        return true
    }

    /// Ends every lease whose time is over. - Returns: whether there was one.
    mutating func expire(now: Duration) -> Bool {
        let over = leases.filter { $0.value.deadline.map { $0 <= now } ?? false }.keys
        return over.sorted { $0.id < $1.id }.map { revoke($0) }.contains(true)
    }

    // MARK: History

    /// Forgets every change up to now.
    mutating func compact() {
        history.removeAll()
        compacted = revision
    }

    /// A change of nothing is no revision, as in etcd.
    private mutating func record(_ changes: [RegistryChange]) {
        guard !changes.isEmpty else { return }
        revision += 1
        history.append(changes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
        compacted = max(compacted, revision - Int64(limit))
        if history.count >= 2 * limit { history.removeFirst(history.count - limit) }
    }

    private func changes(at revision: Int64) -> [RegistryChange] {
        history[history.count - 1 - Int(self.revision - revision)]
    }
}
