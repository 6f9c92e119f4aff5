// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel

// MARK: When the registry says nothing for too long

extension ServiceTables {
    /// A service whose links do not believe any more in what is known, or do again.
    struct Belief: Sendable, Hashable {
        let service: ServiceName
        let isBelieved: Bool
        /// How old what is known is; nil while it is not.
        let age: Duration?
    }

    /// What is known of a service is as old as the registry's silence; what an earlier process knew is as old as it was
    /// when this one began, and older by the time since, until the registry itself has spoken.
    /// - Parameter silence: of the registry; nil while it speaks.
    /// - Returns: what has changed.
    mutating func silent(for silence: Duration?, now: Duration) -> [Belief] {
        var changed: [Belief] = []
        for service in tables.keys.sorted() {
            guard let table = tables[service], case .drop(let limit) = table.absence.onLoss else { continue }
            let age = [silence, table.knownSince.map { now - $0 }].compactMap(\.self).max()
            let isDisbelieved = age.map { $0 >= limit } ?? false
            guard table.isDisbelieved != isDisbelieved else { continue }
            tables[service]?.setDisbelieved(isDisbelieved)
            changed.append(Belief(service: service, isBelieved: !isDisbelieved, age: age))
        }
        return changed
    }
}
