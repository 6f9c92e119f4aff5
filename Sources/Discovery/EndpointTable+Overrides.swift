// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

// MARK: What operators say

extension EndpointTable {
    /// An operator's word, and when it ends by itself.
    package struct Override: Sendable, Hashable {
        package let record: OverrideRecord
        /// Nil: when it is undone.
        package let until: Duration?

        package init(_ record: OverrideRecord, until: Duration?) {
            self.record = record
            self.until = until
        }
    }

    /// - Parameter overrides: all words about this service that have not ended, by instance; `*` for the others. What
    ///   takes an instance out takes new connections only.
    package mutating func overridesChanged(
        to overrides: [EntryKey: Override], now: Duration
    ) -> [EndpointAction] {
        guard overrides != self.overrides else { return [] }
        forgetDepartures(now)
        self.overrides = overrides
        changes += 1
        for (key, old) in entries {
            guard let before = old.member else { continue }
            let after = overridden(before, key: key.text)
            guard after != before else { continue }
            var entry = old
            entry.member = after
            replace(key, old, with: entry)
            move(key, from: before, to: after)
        }
        overrideDepartures()
        return finish(now)
    }

    /// What is held has no key that could be drained; to an operator it is an instance like any other.
    private mutating func overrideDepartures() {
        for (endpoint, departure) in departures {
            let member = overridden(departure.member, key: departure.key.text)
            guard member != departure.member else { continue }
            departures[endpoint]?.member = member
            guard groups[endpoint]?.keys.isEmpty ?? false else { continue }
            guard member.isWilling else {
                endDeparture(endpoint, .drained)
                continue
            }
            groups[endpoint]?.member = member
            touched.insert(endpoint)
            hasChanged = true
        }
    }

    /// Words whose time is over.
    mutating func endOverrides(_ now: Duration) {
        let standing = overrides.filter { $0.value.until.map { $0 > now } ?? true }
        if standing.count < overrides.count { actions += overridesChanged(to: standing, now: now) }
    }

    func overridden(_ member: Member, key: String) -> Member {
        guard !overrides.isEmpty || member.override != nil else { return member }
        var member = member
        member.override = override(ofKey: key)?.record.word
        return member
    }

    func override(ofKey key: String) -> Override? {
        guard !overrides.isEmpty, let instance = instance(ofKey: key) else { return nil }
        return overrides[EntryKey(instance)] ?? overrides[Self.every]
    }

    private static let every = EntryKey(OverrideRecord.everyInstance)

    /// What an instance is called in an override's key and a hold's: of a key elsewhere, all that is behind the prefix.
    func instance(ofKey key: String) -> String? {
        guard let prefix = source.prefix else { return layout.parse(key)?.instance }
        // Bytes: a slash and an accent behind it are one Character.
        let parts = key.utf8.dropFirst(prefix.utf8.count + 1)
            .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.map { String(Substring($0)) }.joined(separator: "%2F")
    }
}
