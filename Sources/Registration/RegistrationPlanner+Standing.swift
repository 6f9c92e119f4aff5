// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

// MARK: What is known of what stands

extension RegistrationPlanner {
    /// What follows from a listing without values.
    /// - Parameter heads: all of our keys that stand, by key.
    /// - Returns: what is known by it of keys that do not stand, and the keys that have to be read; the rest stands as we
    ///   wrote it, and as it is to stand.
    package mutating func reading(
        _ heads: [String: RegistryEntry]
    ) -> (standing: [String: Standing], keys: [String]) {
        let presences = layout.nodeRange(identity.node)
        siblingLeases = Set(heads.values.filter { presences.contains($0.key) }.compactMap(\.lease))
        var standing: [String: Standing] = [:]
        var keys: [String] = []
        for publication in publications {
            guard let head = heads[publication.key] else {
                standing[publication.key] = Standing(nil)
                continue
            }
            let isSettled = publication.says(publication.word(isWithdrawing: isWithdrawing))
            let isUndisturbed = lease != nil && head.lease == lease && head.modRevision == publication.modRevision
            if !(isSettled && isUndisturbed) { keys.append(publication.key) }
        }
        return (standing, keys)
    }

    package func isOwn(_ lease: RegistryLease) -> Bool { lease == self.lease || formerLeases.contains(lease) }

    /// Whether somebody has begun or ended to call itself as our node does since the last reading. With a rival there, each
    /// look is.
    /// - Parameter presences: everything below our node's range, values or not.
    package func areNews(_ presences: [RegistryEntry]) -> Bool { hasRival || others(presences) != siblings }

    /// - Parameter presences: with values.
    /// - Returns: `rival`.
    package mutating func presencesRead(_ presences: [RegistryEntry]) -> PresenceRecord? {
        siblings = others(presences)
        let rival = rival(among: presences)
        hasRival = rival != nil
        return rival
    }

    private func others(_ presences: [RegistryEntry]) -> [String: Int64] {
        let own = publications.first?.key
        return Dictionary(
            presences.filter { $0.key != own }.map { ($0.key, $0.modRevision) }, uniquingKeysWith: { $1 })
    }

    /// A living registrator of another machine that goes by our name, if there is one.
    /// - Parameter presences: everything below our node's range. A key that stands counts as alive: its lease, when it
    ///   ends, takes it away.
    package func rival(among presences: [RegistryEntry]) -> PresenceRecord? {
        for entry in presences {
            guard let record = try? PresenceRecord(decoding: entry.value, node: identity.node) else { continue }
            if record.boot != identity.boot { return record }
        }
        return nil
    }
}
