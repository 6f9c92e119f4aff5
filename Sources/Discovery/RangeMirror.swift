// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel
import Synchronization

/// Some ranges of the registry as they stand, kept up to date by watches: for those who show them again and again.
///
/// Unlike an `EndpointWatcher` it judges nothing. What was read stands while the registry is silent.
///
/// ## Concurrency
/// One `run()`; `listings` from any thread.
package final class RangeMirror: Sendable {
    private struct Range: Sendable {
        var revision: Int64 = 0
        var entries: [EntryKey: RegistryEntry] = [:]
    }

    /// Who may not read a range is shown the rest; it may be allowed later.
    private static let deniedPause = Duration.seconds(30)

    private let store: any RegistryStore
    private let ranges: [RegistryRange]
    private let changes: Signal
    private let clock: any Clock<Duration>
    private let state = Mutex<[RegistryRange: Range]>([:])

    /// - Parameter changes: raised after each change.
    package init(
        store: any RegistryStore, ranges: [RegistryRange], changes: Signal,
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        self.store = store
        self.ranges = ranges
        self.changes = changes
        self.clock = clock
    }

    /// What stands in each range, in key order; nil until all have been read once.
    package var listings: [RegistryRange: RegistryListing]? {
        let state = state.withLock { $0 }
        guard state.count == Set(ranges).count else { return nil }
        return state.mapValues { range in
            RegistryListing(revision: range.revision, entries: range.entries.sorted { $0.key < $1.key }.map(\.value))
        }
    }

    /// Follows the ranges until cancelled.
    package func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for range in Set(ranges) { group.addTask { try await self.follow(range) } }
            try await group.waitForAll()
        }
    }

    private func follow(_ range: RegistryRange) async throws {
        var backoff = Backoff.ofReader
        while true {
            var pause: Duration
            do {
                let listing = try await store.list(range)
                set(range, to: listing)
                try await store.withWatch(range, from: listing.revision + 1) { events in
                    for try await event in events { self.fold(event, into: range) }
                }
                backoff.reset()
                pause = .zero
            } catch let error as RegistryError {
                if error.code == .permissionDenied { set(range, to: RegistryListing(revision: 0, entries: [])) }
                pause =
                    error.code == .permissionDenied
                    ? Self.deniedPause : backoff.next(random: Double.random(in: 0..<1))
            }
            try Task.checkCancellation()
            try await clock.sleep(for: pause)
        }
    }

    private func fold(_ event: RegistryEvent, into range: RegistryRange) {
        switch event {
        case .reset(let listing): set(range, to: listing)
        case .changes(let revision, let changes):
            state.withLock { state in
                state[range]?.revision = revision
                for change in changes {
                    switch change {
                    case .upsert(let entry): state[range]?.entries[EntryKey(entry.key)] = entry
                    case .remove(let key): state[range]?.entries[EntryKey(key)] = nil
                    }
                }
            }
            self.changes.raise()
        }
    }

    private func set(_ range: RegistryRange, to listing: RegistryListing) {
        let entries = Dictionary(listing.entries.map { (EntryKey($0.key), $0) }, uniquingKeysWith: { $1 })
        state.withLock { $0[range] = Range(revision: listing.revision, entries: entries) }
        changes.raise()
    }
}
