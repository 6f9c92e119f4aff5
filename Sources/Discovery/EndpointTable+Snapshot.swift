// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

// MARK: What the relay is given

extension EndpointTable {
    /// The instances that may take new connections, held ones included, in the order of their slots.
    ///
    /// - Parameters:
    ///   - allocator: the process's; every table of it is given the same.
    ///   - released: as in `InstanceAllocator.acquire`.
    /// - Returns: the instances, and those of the last call that are not among them any more: the caller retires them
    ///   when the relay has been told.
    package mutating func instances(
        from allocator: inout InstanceAllocator, released: (InstanceID) -> Bool
    ) -> (current: [Instance], left: [RetiredInstance]) {
        hasChanged = false
        if isMissingIDs {
            for endpoint in groups.filter({ $0.value.id == nil }).keys.sorted() {
                guard let group = groups[endpoint] else { continue }
                groups[endpoint]?.id = allocator.acquire(
                    key: group.identity.text, endpoint: endpoint, released: released)
            }
        }
        var instances: [Instance] = []
        instances.reserveCapacity(groups.count)
        for (endpoint, group) in groups {
            guard let id = group.id else { continue }
            let member = group.member
            instances.append(Instance(id: id, endpoint: endpoint, weight: member.weight, priority: member.priority))
        }
        // One without an ID found every slot taken by connections that still run: it is looked at again next time.
        isShortOfSlots = instances.count < groups.count
        isMissingIDs = isShortOfSlots
        instances.sort { $0.id.slot < $1.id.slot }
        guard !retiring.isEmpty else { return (instances, []) }
        let inUse = Set(instances.map(\.id))
        let left = retiring.filter { !inUse.contains($0.id) }
        retiring = []
        return (instances, left)
    }
}

/// An instance that has left the snapshots of its service.
package struct RetiredInstance: Sendable, Hashable {
    package let id: InstanceID
    package let key: String
    package let endpoint: Endpoint
}
