// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

// MARK: What operators say

extension ServiceTables {
    /// All words of all services, by instance.
    typealias Words = [ServiceName: [EntryKey: EndpointTable.Override]]

    /// What is known of operators' words.
    enum Hearing: Sendable, Hashable {
        case nothing
        /// They may not be read, or not yet: what somebody less than the registry says of them holds until it speaks.
        case hearsay
        case registry
    }

    /// - Parameter overrides: all words there are, in the registry's own listing or watch.
    mutating func overridesChanged(to overrides: Words, now: Duration) -> [Order] {
        hearing = .registry
        return setOverrides(overrides, now: now)
    }

    /// The same in the words of a file, or of a member that could ask no other.
    mutating func overridesPresumed(_ overrides: Words, now: Duration) -> [Order] {
        guard hearing != .registry else { return [] }
        return setOverrides(overrides, now: now)
    }

    /// They have been waited for long enough, or may not be read.
    mutating func wentWithoutOverrides() {
        if hearing == .nothing { hearing = .hearsay }
    }

    private mutating func setOverrides(_ overrides: Words, now: Duration) -> [Order] {
        tables.keys.sorted().flatMap { service in
            with(service) { $0.overridesChanged(to: overrides[service] ?? [:], now: now) }
        }
    }
}
