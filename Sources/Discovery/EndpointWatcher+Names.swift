// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Synchronization

// MARK: Names

extension EndpointWatcher {
    /// docs/promises.md, "Grammar".
    private static let lookupInterval = Duration.seconds(30)
    /// A name that has had no answer is asked for again after so long, doubled up to the interval; one whose instance
    /// does not accept no sooner either.
    private static let lookupPause = Duration.seconds(1)
    /// Each may keep a thread waiting for a silent server: a few such names must not hold up the others.
    private static let lookupsAtOnce = 8

    /// When a name is asked for next, and what was found last.
    private struct Lookup {
        var asked: Duration
        var failures = 0

        var next: Duration {
            guard failures > 0 else { return asked + lookupInterval }
            return asked + min(lookupPause * (1 << min(failures - 1, 5)), lookupInterval)
        }
    }

    /// An instance did not accept: its name may stand for another by now.
    package func connectFailed() {
        guard configuration.resolver != nil else { return }
        hurry.withLock { $0 = true }
        lookups.raise()
    }

    /// Looks up what the registry names, for ever.
    func followNames(by resolver: any NameResolver) async throws {
        var known: [String: Lookup] = [:]
        while true {
            let isHurried = hurry.withLock { isHurried in
                defer { isHurried = false }
                return isHurried
            }
            let names = state.withLock { $0.tables.names }
            if known.keys.contains(where: { !names.contains($0) }) {
                known = known.filter { names.contains($0.key) }
                log.forgetLookups(but: names)
            }
            let now = elapsed()
            let due = names.filter { name in
                guard let lookup = known[name] else { return true }
                return lookup.next <= now || isHurried && lookup.asked + Self.lookupPause <= now
            }
            for (name, isKnown) in await lookUp(due.sorted(), resolver) {
                known[name] = Lookup(asked: elapsed(), failures: isKnown ? 0 : (known[name]?.failures ?? 0) + 1)
            }
            try Task.checkCancellation()
            let next = known.values.map(\.next).min()
            await lookups.wait(until: next, by: clock, elapsed)
            try Task.checkCancellation()
        }
    }

    /// Tells the tables each answer as it comes. - Returns: which have addresses.
    private func lookUp(_ names: [String], _ resolver: any NameResolver) async -> [String: Bool] {
        await withTaskGroup(of: (String, Bool).self) { group in
            var found: [String: Bool] = [:]
            for (index, name) in names.enumerated() {
                if index >= Self.lookupsAtOnce, let (name, isKnown) = await group.next() { found[name] = isKnown }
                group.addTask { (name, self.tell(name, await resolver.answer(for: name))) }
            }
            for await (name, isKnown) in group { found[name] = isKnown }
            return found
        }
    }

    private func tell(_ name: String, _ answer: NameAnswer) -> Bool {
        log.lookedUp(name, answer)
        guard case .addresses(let addresses) = answer else { return false }
        apply { $0.resolved(name, to: addresses, now: $1) }
        return true
    }
}
