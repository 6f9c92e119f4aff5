// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
internal import Logging
package import Registry

/// The registry on an etcd cluster: `RegistryStore`'s promises over `EtcdClient`'s.
///
/// Keys that are not UTF-8 are shown with U+FFFD in place of what is wrong, so that several may look the same. Layouts
/// refuse such keys (`KeyLayout.remainder`): above they are skipped with a reason.
package final class EtcdStore: RegistryStore {
    private let client: EtcdClient

    package init(client: EtcdClient) { self.client = client }

    package func run() async throws { try await client.run() }

    package func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing {
        try await list(range, keysOnly: keysOnly, consistency: .linearizable)
    }

    package func listUnconfirmed(_ range: RegistryRange) async throws(RegistryError) -> RegistryListing {
        try await list(range, keysOnly: false, consistency: .serializable)
    }

    private func list(
        _ range: RegistryRange, keysOnly: Bool, consistency: Consistency
    ) async throws(RegistryError) -> RegistryListing {
        do {
            return RegistryListing(
                try await client.list(KeyRange(range), keysOnly: keysOnly, consistency: consistency))
        } catch {
            throw RegistryError(error)
        }
    }

    package func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64, _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result {
        try await client.withWatch(KeyRange(range), from: Revision(max(1, revision))) { events in
            try await body(RegistryEvents(events))
        }
    }

    package func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        try await client.withLease(timeToLive: timeToLive, atEnd: LeaseEnd(end)) { keeper in
            try await body(EtcdOwner(keeper: keeper))
        }
    }

    /// etcd's own limit of operations a transaction (`--max-txn-ops`).
    private static let maximumWrites = 128

    package func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64? {
        guard (1...Self.maximumWrites).contains(writes.count) else {
            throw RegistryError(.invalid, "\(writes.count) writes in one commit; allowed: 1-\(Self.maximumWrites)")
        }
        guard Set(writes.map(\.key)).count == writes.count else {
            throw RegistryError(.invalid, "one key is written twice in one commit")
        }
        do {
            let result = try await client.transaction(
                if: writes.compactMap(\.comparison), then: writes.map(\.etcdOperation))
            return result.succeeded ? result.revision.rawValue : nil
        } catch {
            throw RegistryError(error)
        }
    }

    package func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration? {
        do {
            return try await client.timeToLive(of: LeaseID(lease.id))?.remaining
        } catch {
            throw RegistryError(error)
        }
    }

    package var health: RegistryHealth {
        let knowledge = client.knowledge
        return RegistryHealth(
            staleSince: knowledge.staleSince, lastContact: knowledge.lastContact,
            revision: knowledge.revision.rawValue, reconnects: knowledge.reconnects, relists: knowledge.relists,
            resyncs: knowledge.resyncs,
            cluster: knowledge.clusterID == 0 ? nil : String(knowledge.clusterID, radix: 16),
            version: knowledge.version?.description)
    }
}

/// A lease keeper in the registry's words.
private struct EtcdOwner: RegistryOwner {
    let keeper: LeaseKeeper

    var lease: RegistryLease? { keeper.lease.map { RegistryLease($0.rawValue) } }

    var lifetimes: AsyncStream<OwnerEvent> {
        let events = keeper.events
        return AsyncStream {
            // Iterators of a stream share its buffer, so a new one each time loses nothing and need not be kept.
            var iterator = events.makeAsyncIterator()
            return switch await iterator.next() {
            case .granted(let lease, let timeToLive):
                .granted(RegistryLease(lease.rawValue), timeToLive: timeToLive)
            case .lost(let lease): .lost(RegistryLease(lease.rawValue))
            case nil: nil
            }
        }
    }
}
