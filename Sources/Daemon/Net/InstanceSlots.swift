// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Gives out InstanceIDs for the addresses of a process that knows no registry (`forward`): one for each address, a
/// slot used again only when the relay has let go of its last tenant.
package struct InstanceSlots: Sendable {
    private var assigned: [InstanceAddress: InstanceID] = [:]
    private var leaving: [InstanceID] = []
    private var free: [InstanceID] = []
    private var nextSlot: UInt32 = 0

    package init() {}

    /// - Returns: the id of `address`, the same for as long as it is kept.
    package mutating func id(of address: InstanceAddress) -> InstanceID {
        if let id = assigned[address] { return id }
        let id: InstanceID
        if let last = free.popLast() {
            id = InstanceID(slot: last.slot, generation: last.generation &+ 1)
        } else {
            id = InstanceID(slot: nextSlot, generation: 1)
            nextSlot += 1
        }
        assigned[address] = id
        return id
    }

    /// Lets go of every address that is not in `addresses`.
    /// - Parameter isReleased: whether the relay has let go of an instance.
    package mutating func keep(_ addresses: Set<InstanceAddress>, isReleased: (InstanceID) -> Bool) {
        for (address, id) in assigned where !addresses.contains(address) {
            assigned[address] = nil
            leaving.append(id)
        }
        free += leaving.filter(isReleased)
        leaving.removeAll(where: isReleased)
    }
}
