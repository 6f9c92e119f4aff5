// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
import ServiceModel

// MARK: What outlives the process

extension EndpointTable {
    /// The valid entries, in key order.
    package func lastGood() -> [LastGood.Entry] {
        entries.compactMap { key, entry in entry.member.map { (key, $0) } }.sorted { $0.0 < $1.0 }
            .map { LastGood.Entry(key: $0.text, record: $1.record, isOfName: $0.address != nil) }
    }

    /// What operators say, in the order of their keys.
    package func lastGoodWords() -> [LastGood.Word] {
        overrides.sorted { $0.key < $1.key }.map { LastGood.Word(instance: $0.key.text, record: $0.value.record) }
    }

    /// What an earlier process knew, for as long as the registry says nothing. It passes every check that an entry of
    /// the registry passes. What of it the first listing lacks leaves as if it had been deleted, nobody knows how.
    /// - Parameter age: how long ago the registry said so.
    package mutating func restore(
        _ known: [LastGood.Entry], age: Duration = .zero, now: Duration
    ) -> [EndpointAction] {
        guard !isListed else { return [] }
        isListed = true
        knownSince = now - age
        hasChanged = true
        for known in known {
            // Of a service whose names are not resolved any more, nothing of a name is used.
            guard !known.isOfName || source.resolvesNames else { continue }
            let key = EntryKey(known.key, address: known.isOfName ? known.record.endpoint.address : nil)
            guard entries[key] == nil else { continue }
            if let address = key.address { parts[EntryKey(known.key), default: []].append(address) }
            // Older than whatever the registry will say of it.
            var entry = Entry(lease: nil, modRevision: 0)
            do throws(SkipReason) {
                _ = try node(in: known.key)
                entry.member = try member(known.record, key: known.key, isNew: true, modRevision: 0)
                if let member = entry.member, ownEndpoints.contains(member.endpoint) { entry.problem = .ownListener }
            } catch {
                entry.problem = error
            }
            replace(key, nil, with: entry)
            move(key, from: nil, to: entry.member)
        }
        return finish(now)
    }
}
