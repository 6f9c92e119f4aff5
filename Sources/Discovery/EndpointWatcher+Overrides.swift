// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import Registry
import ServiceModel
import Synchronization

// MARK: What operators say

extension EndpointWatcher {
    /// A watch that has lost a word is found out after so long.
    private static let overridesInterval = Duration.seconds(60)

    /// Follows the operators' words for ever. What stands is kept while they cannot be read; who may not read them goes
    /// without.
    func followOverrides() async throws {
        let range = configuration.layout.overridesRange
        var backoff = Backoff.ofReader
        while true {
            var delay: Duration
            do {
                let listing = try await store.list(range)
                log.readable(range)
                let standing = Self.standing(listing)
                carryOver(standing)
                try await watchOverrides(range, from: listing.revision + 1, beside: standing)
                backoff.reset()
                delay = .zero
            } catch let error as RegistryError {
                log.unreadable(range, error)
                delay = error.code == .permissionDenied ? Self.overridesInterval : backoff.next(random: random())
            }
            try Task.checkCancellation()
            try await clock.sleep(for: delay)
        }
    }

    /// Returns after `overridesInterval` at the latest.
    private func watchOverrides(
        _ range: RegistryRange, from revision: Int64, beside before: [EntryKey: RegistryEntry]
    ) async throws {
        try await store.withWatch(range, from: revision) { events in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var standing = before
                    for try await event in events {
                        Self.fold(event, into: &standing)
                        self.carryOver(standing)
                    }
                }
                group.addTask { try await self.clock.sleep(for: Self.overridesInterval) }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    private static func fold(_ event: RegistryEvent, into standing: inout [EntryKey: RegistryEntry]) {
        switch event {
        case .reset(let listing): standing = Self.standing(listing)
        case .changes(_, let changes):
            for change in changes {
                switch change {
                case .upsert(let entry): standing[EntryKey(entry.key)] = entry
                case .remove(let key): standing[EntryKey(key)] = nil
                }
            }
        }
    }

    /// By bytes, and never unique for granted: a store may show two keys that are not text as one.
    private static func standing(_ listing: RegistryListing) -> [EntryKey: RegistryEntry] {
        Dictionary(listing.entries.map { (EntryKey($0.key), $0) }, uniquingKeysWith: { $1 })
    }

    private func carryOver(_ standing: [EntryKey: RegistryEntry]) {
        let wallClock = Date.now
        apply { tables, now in
            let (words, problems) = OverrideWords.parse(
                Array(standing.values), layout: configuration.layout, wallClock: wallClock)
            log.badOverrides(problems)
            let overrides = words.mapValues { instances in
                instances.mapValues { EndpointTable.Override($0.record, until: $0.left.map { now + $0 }) }
            }
            return tables.overridesChanged(to: overrides, now: now)
        }
    }
}
