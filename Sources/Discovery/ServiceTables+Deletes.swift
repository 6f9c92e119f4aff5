// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

// MARK: One delete, or one of many (docs/promises.md, "When an instance leaves", 2)

extension ServiceTables {
    /// What one revision has deleted, as far as the watches have told.
    struct Deletes: Sendable {
        let at: Duration
        /// Two at the most: more say nothing more.
        var keys: Set<EntryKey> = []
        /// Who was told of them.
        var services: Set<ServiceName> = []
    }

    /// So long after the first watch, at least, the others are expected to tell of the same revision: they share one stream.
    static let deletesRemembered = Duration.seconds(1)

    /// Somebody deleted keys. A command over a whole prefix is one revision, whichever watch tells of each part of it.
    /// - Returns: whether another key was deleted in the same revision.
    mutating func deleted(
        _ changes: [RegistryChange], by services: [ServiceName], at revision: Int64, now: Duration
    ) -> Bool {
        if now - deletesForgotten >= Self.deletesRemembered {
            deletesForgotten = now
            deletes = deletes.filter { $0.value.at > now - Self.deletesRemembered }
        }
        for case .remove(let key) in changes {
            deletes[revision, default: Deletes(at: now)].services.formUnion(services)
            guard (deletes[revision]?.keys.count ?? 0) < 2 else { return true }
            deletes[revision]?.keys.insert(EntryKey(key))
        }
        return (deletes[revision]?.keys.count ?? 0) > 1
    }

    /// What other services took for somebody's word was none.
    mutating func deletedWithOthers(than told: [ServiceName], at revision: Int64, now: Duration) -> [Order] {
        let others = (deletes[revision]?.services ?? []).subtracting(told)
        return others.sorted().flatMap { service in
            with(service) { $0.deletedWithOthers(at: revision, now: now) }
        }
    }
}
