// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

/// The last valid value of a key, as far as Discovery needs it.
struct Member: Sendable, Hashable {
    let endpoint: Endpoint
    /// As the registrator has it.
    let statedWeight: Int
    let priority: Int
    /// As the registrator has it.
    let isStatedDraining: Bool
    var node: String? { traits.node }
    let since: String?
    /// Of the write that the value came with.
    let modRevision: Int64
    /// Whether the link wants it at all.
    let isSelected: Bool
    /// Among those of its priority, 0 for the most preferred.
    let rank: Int
    /// What of it was asked about, and its node.
    let traits: Traits
    /// What an operator says instead.
    var override: OverrideRecord.Word?

    init(_ record: InstanceRecord, modRevision: Int64, selection: Selection) {
        endpoint = record.endpoint
        statedWeight = record.weight
        priority = record.priority
        isStatedDraining = record.state == .draining
        since = record.since
        self.modRevision = modRevision
        traits = selection.traits(of: record)
        isSelected = selection.accepts(traits)
        rank = selection.rank(of: traits)
    }

    var weight: Int {
        if case .weight(let weight) = override { weight } else { statedWeight }
    }

    var isDraining: Bool { isStatedDraining || override == .draining }

    /// The same in the words of the registrator.
    var record: InstanceRecord {
        var record = InstanceRecord(endpoint: endpoint)
        record.weight = statedWeight
        record.priority = priority
        record.state = isStatedDraining ? .draining : .up
        record.since = since
        traits.apply(to: &record)
        return record
    }

    /// Lower is used first: its own word, and among those of one word the link's preference.
    var tier: Int { Int(Int32(clamping: priority)) * (Selection.maximumPreferences + 1) + rank }

    /// Whether it may take new connections; one that may not is no part of the set that rule 3 guards.
    var isWilling: Bool { isSelected && !isDraining && weight > 0 }
}

/// A key as it stands.
struct Entry: Sendable {
    var lease: RegistryLease?
    var modRevision: Int64
    /// Nil when the key never had a valid value, or speaks of another protocol.
    var member: Member?
    /// Why the value that stands there now, or its address, is not used.
    var problem: SkipReason?
}

/// One instance in use: everything that stands for one endpoint.
struct Group: Sendable {
    /// Gives it its `InstanceID`; the first that stood for it, which may be gone while others stand.
    let identity: EntryKey
    /// Usually one; none while the instance is on its way out.
    var keys: [EntryKey]
    /// Of the newest value.
    var member: Member
    var id: InstanceID?
}
