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
    /// without. Until one or the other is known there is no snapshot, but for the time of `patience`.
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
                if error.code == .permissionDenied { goWithoutOverrides() }
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

    func goWithoutOverrides() {
        state.withLock { $0.tables.wentWithoutOverrides() }
        changes.raise()
    }

    /// What one member knows of them, while the registry as a whole is silent.
    func presumeOverrides() async {
        let range = configuration.layout.overridesRange
        // Whatever fails here, `followOverrides` tells why.
        guard state.withLock({ $0.tables.hearing != .registry }), let listing = try? await store.listUnconfirmed(range)
        else { return }
        carryOver(Self.standing(listing), isPresumed: true)
    }

    /// - Returns: the words of a file that have not ended.
    static func words(_ lastGood: LastGood, wallClock: Date, now: Duration) -> ServiceTables.Words {
        lastGood.words.mapValues { words in
            let standing = words.compactMap { word -> (EntryKey, EndpointTable.Override)? in
                guard let standing = try? OverrideWords.standing(word.record, wallClock) else { return nil }
                return (EntryKey(word.instance), override(standing, now))
            }
            return Dictionary(standing, uniquingKeysWith: { $1 })
        }
    }

    private static func override(_ standing: OverrideWords.Standing, _ now: Duration) -> EndpointTable.Override {
        EndpointTable.Override(standing.record, until: standing.left.map { now + $0 })
    }

    private func carryOver(_ standing: [EntryKey: RegistryEntry], isPresumed: Bool = false) {
        let wallClock = wallClock()
        apply { tables, now in
            let (words, problems) = OverrideWords.parse(
                standing.sorted { $0.key < $1.key }.map(\.value), layout: configuration.layout, wallClock: wallClock)
            log.badOverrides(problems)
            let overrides = words.mapValues { $0.mapValues { Self.override($0, now) } }
            return isPresumed
                ? tables.overridesPresumed(overrides, now: now) : tables.overridesChanged(to: overrides, now: now)
        }
    }
}
