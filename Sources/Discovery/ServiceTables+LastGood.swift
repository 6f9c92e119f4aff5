// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

// MARK: What outlives the process

extension ServiceTables {
    /// Services of which nothing is known.
    var unlisted: [ServiceName] { tables.filter { !$0.value.isListed }.keys.sorted() }

    /// - Returns: nil until the registry itself has said everything: half of it is no start for anybody.
    func lastGood(of origin: LastGood.Origin, savedAt: String) -> LastGood? {
        guard tables.values.allSatisfy(\.isConfirmed) else { return nil }
        return LastGood(
            origin: origin, savedAt: savedAt, revision: revision(of: Array(tables.keys)),
            services: tables.mapValues { $0.lastGood() },
            words: tables.mapValues { $0.lastGoodWords() }.filter { !$0.value.isEmpty })
    }

    /// - Parameter words: those of `lastGood` that have not ended: first, so that nobody is used whom they take out.
    mutating func restore(_ lastGood: LastGood, words: Words, now: Duration) -> [Order] {
        overridesPresumed(words, now: now)
            + lastGood.services.sorted { $0.key < $1.key }.flatMap { service, entries in
                with(service) { $0.restore(entries, now: now) }
            }
    }
}
