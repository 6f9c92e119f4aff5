// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

// MARK: What outlives the process

extension ServiceTables {
    /// Services of which nothing is known.
    var unlisted: [ServiceName] { tables.filter { !$0.value.isListed }.keys.sorted() }

    /// Grows with each change of what `lastGood` says.
    var changes: Int { denials + tables.values.reduce(0) { $0 + $1.changes } }

    /// The registry lets us read some services, or no longer.
    mutating func setDenied(_ isDenied: Bool, _ services: [ServiceName]) {
        let before = denied
        if isDenied { denied.formUnion(services) } else { denied.subtract(services) }
        if denied != before { denials += 1 }
    }

    /// - Returns: nil until the registry itself has said everything that it lets us read: half of it is no start for
    ///   anybody. What it never let us read is left out.
    func lastGood(of origin: LastGood.Origin, savedAt: String) -> LastGood? {
        guard tables.allSatisfy({ $0.value.isConfirmed || denied.contains($0.key) }) else { return nil }
        let tables = tables.filter(\.value.isConfirmed)
        guard !tables.isEmpty else { return nil }
        return LastGood(
            origin: origin, savedAt: savedAt, revision: revision(of: Array(tables.keys)),
            services: tables.mapValues { $0.lastGood() },
            words: tables.mapValues { $0.lastGoodWords() }.filter { !$0.value.isEmpty })
    }

    /// - Parameters:
    ///   - age: how long ago the registry said so.
    ///   - words: those of `lastGood` that have not ended: first, so that nobody is used whom they take
    ///     out.
    mutating func restore(_ lastGood: LastGood, age: Duration, words: Words, now: Duration) -> [Order] {
        overridesPresumed(words, now: now)
            + lastGood.services.sorted { $0.key < $1.key }.flatMap { service, entries in
                with(service) { $0.restore(entries, age: age, now: now) }
            }
    }
}
