// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials
package import Registry
package import ServiceModel

/// Operators' words as they stand in a registry.
package enum OverrideWords {
    /// A word, and how long it has left; nil: until it is undone.
    package typealias Standing = (record: OverrideRecord, left: Duration?)

    /// - Returns: the words that have not ended, by service and instance, and the keys that cannot be read.
    package static func parse(
        _ entries: [RegistryEntry], layout: KeyLayout, wallClock: Date
    ) -> (words: [ServiceName: [EntryKey: Standing]], problems: [(key: String, reason: SkipReason)]) {
        var words: [ServiceName: [EntryKey: Standing]] = [:]
        var problems: [(key: String, reason: SkipReason)] = []
        for entry in entries {
            guard let place = layout.parseOverride(entry.key) else {
                problems.append((entry.key, .key))
                continue
            }
            do throws(SkipReason) {
                let record = try OverrideRecord(decoding: entry.value)
                guard let standing = try standing(record, wallClock) else { continue }
                words[place.service, default: [:]][EntryKey(place.instance)] = standing
            } catch {
                problems.append((entry.key, error))
            }
        }
        return (words, problems)
    }

    /// - Returns: nil for a word that has ended.
    static func standing(_ record: OverrideRecord, _ wallClock: Date) throws(SkipReason) -> Standing? {
        let left = try left(record, wallClock)
        if let left, left <= .zero { return nil }
        return (record, left)
    }

    private static func left(_ record: OverrideRecord, _ wallClock: Date) throws(SkipReason) -> Duration? {
        guard let until = record.until else { return nil }
        guard let end = try? Date(until, strategy: .iso8601) else { throw .field }
        return .seconds(end.timeIntervalSince(wallClock))
    }
}
