// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

// MARK: Looking for what the watch did not tell

extension EndpointTable {
    /// Keys that stand in a listing otherwise than here: missed changes, or changes that the watch is about to tell.
    package struct Suspects: Sendable, Hashable {
        /// Keys that the listing lacks, with the revision that we have.
        var missing: [EntryKey: Int64] = [:]
        /// Keys that we lack or have older, with the revision in the listing.
        var unseen: [EntryKey: Int64] = [:]

        package var isEmpty: Bool { missing.isEmpty && unseen.isEmpty }
    }

    /// Compares revisions only: `listing` needs no values.
    package func suspects(in listing: RegistryListing) -> Suspects {
        var suspects = Suspects()
        let hasRoom = memberCount < capacity
        var missing = entries.filter { $0.value.modRevision <= listing.revision }
        for entry in listing.entries {
            let key = EntryKey(entry.key)
            for key in all(key) { missing[key] = nil }
            guard let own = entries[key] else {
                if hasRoom || skippedCount < Self.maximumSkipped { suspects.unseen[key] = entry.modRevision }
                continue
            }
            let isWaiting = own.problem == .tooMany && own.member == nil && hasRoom
            if own.modRevision < entry.modRevision || isWaiting { suspects.unseen[key] = entry.modRevision }
        }
        suspects.missing = missing.mapValues(\.modRevision)
        return suspects
    }

    /// - Returns: those that the watch has not explained since.
    package func remaining(of suspects: Suspects) -> Suspects {
        var rest = Suspects()
        rest.missing = suspects.missing.filter { entries[$0.key]?.modRevision == $0.value }
        rest.unseen = suspects.unseen.filter { key, revision in
            guard let own = entries[key] else { return true }
            return own.modRevision < revision || own.problem == .tooMany
        }
        return rest
    }

    /// Puts right what a second listing, with values, confirms. Missing keys are deletes of which nobody knows how.
    package mutating func repaired(
        _ suspects: Suspects, by listing: RegistryListing, now: Duration
    ) -> [EndpointAction] {
        forgetDepartures(now)
        let suspects = remaining(of: suspects)
        var missing = suspects.missing
        for entry in listing.entries {
            let key = EntryKey(entry.key)
            for key in all(key) { missing[key] = nil }
            guard suspects.unseen[key] == entry.modRevision else { continue }
            if entries[key]?.problem == .tooMany {
                // Not missed: there was no room for it.
                entries[key]?.modRevision = 0
            } else {
                counters.drift += 1
            }
            upsert(entry)
        }
        counters.drift += missing.keys.count { $0.address == nil }
        if !missing.isEmpty { lastDelete = now }
        leave(missing.keys.sorted().compactMap { remove($0, now: now) }, isMeant: false, now: now)
        return finish(now)
    }
}
