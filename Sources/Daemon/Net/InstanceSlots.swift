// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Gives out InstanceIDs for the endpoints of a process that knows no registry (`forward`): one for each endpoint, a
/// slot used again only when the relay has let go of its last tenant.
package struct InstanceSlots: Sendable {
    private var assigned: [Endpoint: InstanceID] = [:]
    private var leaving: [InstanceID] = []
    private var free: [InstanceID] = []
    private var nextSlot: UInt32 = 0

    package init() {}

    /// - Returns: the id of `endpoint`, the same for as long as it is kept.
    package mutating func id(of endpoint: Endpoint) -> InstanceID {
        if let id = assigned[endpoint] { return id }
        let id: InstanceID
        if let last = free.popLast() {
            id = InstanceID(slot: last.slot, generation: last.generation &+ 1)
        } else {
            id = InstanceID(slot: nextSlot, generation: 1)
            nextSlot += 1
        }
        assigned[endpoint] = id
        return id
    }

    /// Lets go of every endpoint that is not in `endpoints`.
    /// - Parameter isReleased: whether the relay has let go of an instance.
    package mutating func keep(_ endpoints: Set<Endpoint>, isReleased: (InstanceID) -> Bool) {
        for (endpoint, id) in assigned where !endpoints.contains(endpoint) {
            assigned[endpoint] = nil
            leaving.append(id)
        }
        free += leaving.filter(isReleased)
        leaving.removeAll(where: isReleased)
    }
}
