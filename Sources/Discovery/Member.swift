// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

/// The last valid value of a key, as far as Discovery needs it.
struct Member: Sendable, Hashable {
    let endpoint: Endpoint
    let weight: Int
    let priority: Int
    let isDraining: Bool
    let node: String?
    let since: String?
    /// Of the write that the value came with.
    let modRevision: Int64

    init(_ record: InstanceRecord, modRevision: Int64) {
        endpoint = record.endpoint
        weight = record.weight
        priority = record.priority
        isDraining = record.state == .draining
        node = record.node
        since = record.since
        self.modRevision = modRevision
    }

    /// Whether it may take new connections; one that may not is no part of the set that rule 3 guards.
    var isWilling: Bool { !isDraining && weight > 0 }
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
