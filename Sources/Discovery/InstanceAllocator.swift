// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Gives each (key, endpoint) of the process its `InstanceID`, from dense slots.
///
/// A retired instance keeps its slot until the relay has let go of it; one that comes back before gets its own ID again.
package struct InstanceAllocator: Sendable {
    private struct Identity: Hashable {
        let key: EntryKey
        let endpoint: Endpoint
    }

    private struct Tenant {
        let id: InstanceID
        let identity: Identity
    }

    /// Instances that a process serves at most (registry limits). Those that have left while connections to them run on
    /// share the same slots.
    package static let standardCapacity = 50_000

    /// Retired slots looked at for one new instance: enough to find one where most are free, little where few are.
    private static let searchLimit = 16

    private let capacity: Int
    private var tenants: [Identity: InstanceID] = [:]
    /// In no order; looked through from `cursor` on, round and round.
    private var retired: [Tenant] = []
    private var positions: [InstanceID: Int] = [:]
    private var cursor = 0
    private var slots: UInt32 = 0

    /// - Parameter capacity: slots, 1...`UInt32.max`.
    package init(capacity: Int = Self.standardCapacity) {
        precondition(capacity > 0 && capacity <= UInt32.max, "slots are numbered by 32 bits")
        self.capacity = capacity
    }

    /// Slots that have ever been given out.
    package var slotsUsed: Int { Int(slots) }

    /// - Parameter released: whether the relay has let go of a retired instance for good.
    /// - Returns: the same ID for the same key and endpoint for as long as its slot is not another's; nil while every slot
    ///   is taken.
    package mutating func acquire(
        key: String, endpoint: Endpoint, released: (InstanceID) -> Bool
    ) -> InstanceID? {
        let identity = Identity(key: EntryKey(key), endpoint: endpoint)
        if let id = tenants[identity] {
            if let position = positions[id] { removeRetired(at: position) }
            return id
        }
        guard let id = reuse(released) ?? fresh() ?? reuse(released, limit: retired.count) else { return nil }
        tenants[identity] = id
        return id
    }

    /// Says that no snapshot has the instance any more. Retiring twice, or what was never given out, changes nothing.
    package mutating func retire(_ id: InstanceID, key: String, endpoint: Endpoint) {
        let identity = Identity(key: EntryKey(key), endpoint: endpoint)
        guard tenants[identity] == id, positions[id] == nil else { return }
        positions[id] = retired.count
        retired.append(Tenant(id: id, identity: identity))
    }

    private mutating func reuse(_ released: (InstanceID) -> Bool, limit: Int = Self.searchLimit) -> InstanceID? {
        for _ in 0..<min(limit, retired.count) {
            if cursor >= retired.count { cursor = 0 }
            let tenant = retired[cursor]
            if released(tenant.id) {
                removeRetired(at: cursor)
                tenants[tenant.identity] = nil
                return InstanceID(slot: tenant.id.slot, generation: tenant.id.generation &+ 1)
            }
            cursor += 1
        }
        return nil
    }

    private mutating func removeRetired(at position: Int) {
        positions[retired[position].id] = nil
        let last = retired.removeLast()
        guard position < retired.count else { return }
        retired[position] = last
        positions[last.id] = position
    }

    private mutating func fresh() -> InstanceID? {
        guard slots < capacity else { return nil }
        defer { slots += 1 }
        return InstanceID(slot: slots, generation: 1)
    }
}
