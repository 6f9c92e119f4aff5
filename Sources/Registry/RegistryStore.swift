// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// An ordered key-value history with leases and watches: what Registration writes and Discovery reads.
///
/// Two implementations keep the same promises, checked by one contract suite: `MemoryStore` (one machine, one process)
/// and `EtcdStore` (RegistryEtcd). Keys are text, values bytes; the meaning of both belongs to the layers above.
///
/// ## Promises
/// - Revisions of the whole store grow by one with every change (a transaction is one change).
/// - `list` shows one revision, however many pages it takes.
/// - A watch from revision `r` shows every change of its range with a revision ≥ `r`, in order, each once, and all
///   changes of one revision in one batch. Where history is gone (compaction, restore) it says `.reset` with everything
///   that is there, never a gap.
/// - A key written under an owner goes when the owner's lease does.
package protocol RegistryStore: Sendable {
    /// Runs the connection to the store until cancelled. Calls made before or without it wait for their deadline.
    func run() async throws

    /// Everything in `range` at one revision.
    /// - Parameter keysOnly: leave values empty, for upkeep that compares revisions and leases.
    func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing

    /// Everything in `range` as whoever answers knows it, perhaps an older state: for when nobody can say more.
    func listUnconfirmed(_ range: RegistryRange) async throws(RegistryError) -> RegistryListing

    /// Watches `range` from `revision` on for as long as `body` runs. The sequence survives disconnection; it ends only
    /// when the store stops, and throws only for what waiting cannot mend (see `RegistryError.Code.isFinal`).
    func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64,
        _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result

    /// Holds one lease for as long as `body` runs: granted as soon as the store can be reached, kept alive, granted anew
    /// when the store has lost it; revoked or left to its end (bounded by 1 s) when `body` returns or throws.
    func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result

    /// Applies all of `writes` if every guard holds, none otherwise. At most 128 (etcd's default limit).
    /// - Returns: the revision of the change, or nil when a guard did not hold.
    func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64?

    /// Time left on a lease, nil when the store no longer knows it.
    func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration?

    /// How fresh what we know is.
    var health: RegistryHealth { get }
}

extension RegistryStore {
    package func list(_ range: RegistryRange) async throws(RegistryError) -> RegistryListing {
        try await list(range, keysOnly: false)
    }

    /// Holds a lease that is revoked when `body` returns or throws.
    package func withOwner<Result: Sendable>(
        timeToLive: Duration, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        try await withOwner(timeToLive: timeToLive, atEnd: .revoke, body)
    }

    /// A store of one place knows no other state.
    package func listUnconfirmed(_ range: RegistryRange) async throws(RegistryError) -> RegistryListing {
        try await list(range)
    }
}

/// Keys that a list or watch covers.
package enum RegistryRange: Hashable, Sendable {
    case key(String)
    /// Every key that begins with the text; write the trailing slash (`redis` would also cover `redis-A`).
    case prefix(String)
    /// Every key from the first on that comes before the other, in byte order. Never empty: both differ.
    case span(from: String, before: String)

    package func contains(_ key: String) -> Bool {
        switch self {
        // Bytes, as stores compare: String's == takes é in one scalar and in two for the same.
        case .key(let own): own.utf8.elementsEqual(key.utf8)
        case .prefix(let prefix): key.utf8.starts(with: prefix.utf8)
        case .span(let first, let end):
            !key.utf8.lexicographicallyPrecedes(first.utf8) && key.utf8.lexicographicallyPrecedes(end.utf8)
        }
    }
}

/// A lease's identity, never 0.
package struct RegistryLease: Hashable, Sendable, CustomStringConvertible {
    package let id: Int64
    package init(_ id: Int64) { self.id = id }
    /// Hexadecimal without prefix, as `etcdctl lease` prints it.
    package var description: String { String(UInt64(bitPattern: id), radix: 16) }
}

/// One key as it stands.
package struct RegistryEntry: Hashable, Sendable {
    package let key: String
    package let value: [UInt8]
    /// Revision of the last write of this key.
    package let modRevision: Int64
    /// The lease that it hangs on; nil stays until deleted.
    package let lease: RegistryLease?

    package init(key: String, value: [UInt8], modRevision: Int64, lease: RegistryLease?) {
        self.key = key
        self.value = value
        self.modRevision = modRevision
        self.lease = lease
    }
}

/// What stood in a range at `revision`; a watch that misses nothing starts at `revision + 1`.
package struct RegistryListing: Hashable, Sendable {
    package let revision: Int64
    /// In key order.
    package let entries: [RegistryEntry]

    package init(revision: Int64, entries: [RegistryEntry]) {
        self.revision = revision
        self.entries = entries
    }
}

/// One step of a watch.
package enum RegistryEvent: Hashable, Sendable {
    /// History was lost: this is all there is. Compare with what you have; never clear first.
    case reset(RegistryListing)
    /// All changes of one revision within the range, in key order.
    case changes(revision: Int64, [RegistryChange])
}

package enum RegistryChange: Hashable, Sendable {
    case upsert(RegistryEntry)
    /// A delete names no lease and no value: who needs them remembers.
    case remove(key: String)

    package var key: String {
        switch self {
        case .upsert(let entry): entry.key
        case .remove(let key): key
        }
    }
}

/// The events of one watch, closure-scoped by `withWatch`; one consumer.
package struct RegistryEvents: AsyncSequence, Sendable {
    package typealias Element = RegistryEvent
    private let stream: AsyncThrowingStream<RegistryEvent, any Error>

    package init(_ stream: AsyncThrowingStream<RegistryEvent, any Error>) { self.stream = stream }

    package func makeAsyncIterator() -> AsyncThrowingStream<RegistryEvent, any Error>.Iterator {
        stream.makeAsyncIterator()
    }
}

/// One lifetime after another of a process's lease.
package protocol RegistryOwner: Sendable {
    /// The lease in force, nil before the first grant and between a loss and the next grant.
    var lease: RegistryLease? { get }
    /// `.granted` for the first lease and for each that replaces a lost one; `.lost` in between. One consumer.
    /// It finishes when the store stops.
    var lifetimes: AsyncStream<OwnerEvent> { get }
}

/// What becomes of an owner's keys in the end.
package enum OwnerEnd: Hashable, Sendable {
    /// They go with the lease, at once.
    case revoke
    /// The lease is renewed once more, and they stay until it ends by itself or somebody takes them over.
    case expire
}

package enum OwnerEvent: Hashable, Sendable {
    /// The time is what the store granted, which may be more than asked (etcd: its election time at least).
    case granted(RegistryLease, timeToLive: Duration)
    /// Everything written under it is gone or about to go; write all of it again after the next grant.
    case lost(RegistryLease)
}

/// One guarded write.
package struct RegistryWrite: Hashable, Sendable {
    package enum Guard: Hashable, Sendable {
        case absent
        /// Last written at exactly this revision.
        case unchanged(modRevision: Int64)
        /// The key may stand in any state (used together with guards on other keys, and by tools).
        case none
    }
    package enum Operation: Hashable, Sendable {
        case put([UInt8], lease: RegistryLease?)
        case delete
    }
    package let key: String
    package let condition: Guard
    package let operation: Operation

    package static func create(_ key: String, _ value: [UInt8], lease: RegistryLease?) -> Self {
        Self(key: key, condition: .absent, operation: .put(value, lease: lease))
    }
    package static func replace(_ entry: RegistryEntry, with value: [UInt8], lease: RegistryLease?) -> Self {
        let condition = Guard.unchanged(modRevision: entry.modRevision)
        return Self(key: entry.key, condition: condition, operation: .put(value, lease: lease))
    }
    package static func delete(_ key: String, modRevision: Int64) -> Self {
        Self(key: key, condition: .unchanged(modRevision: modRevision), operation: .delete)
    }

    package init(key: String, condition: Guard, operation: Operation) {
        self.key = key
        self.condition = condition
        self.operation = operation
    }
}
