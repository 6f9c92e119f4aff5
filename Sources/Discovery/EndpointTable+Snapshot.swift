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
        if isDisbelieved || groups.isEmpty {
            isShortOfSlots = false
            if let substitute = substitute(from: &allocator, released: released) {
                instances.append(Instance(id: substitute.id, endpoint: substitute.endpoint))
            }
            return (instances, left(behind: instances))
        }
        if let substitute { retiring.append(substitute) }
        substitute = nil
        instances.reserveCapacity(groups.count)
        for (endpoint, group) in groups {
            guard let id = group.id else { continue }
            let member = group.member
            instances.append(Instance(id: id, endpoint: endpoint, weight: member.weight, priority: member.tier))
        }
        // One without an ID found every slot taken by connections that still run: it is looked at again next time.
        isShortOfSlots = instances.count < groups.count
        isMissingIDs = isShortOfSlots
        instances.sort { $0.id.slot < $1.id.slot }
        return (instances, left(behind: instances))
    }

    /// Whether `instances(_:)` is not to be asked now: what it said last is to be used on.
    package var keepsLast: Bool { absence.onEmpty == .keep && groups.isEmpty && !isDisbelieved }

    /// The registry has been silent for too long, or speaks again.
    package mutating func setDisbelieved(_ isDisbelieved: Bool) {
        guard self.isDisbelieved != isDisbelieved else { return }
        self.isDisbelieved = isDisbelieved
        hasChanged = true
    }

    private mutating func left(behind instances: [Instance]) -> [RetiredInstance] {
        guard !retiring.isEmpty else { return [] }
        let inUse = Set(instances.map(\.id))
        defer { retiring = [] }
        return retiring.filter { !inUse.contains($0.id) }
    }

    private mutating func substitute(
        from allocator: inout InstanceAllocator, released: (InstanceID) -> Bool
    ) -> RetiredInstance? {
        guard case .fallback(let endpoint) = absence.onEmpty else { return nil }
        if substitute == nil {
            // No key of a registry is called so: they begin with a slash or are a target's.
            let key = "fallback of \(service)"
            substitute = allocator.acquire(key: key, endpoint: endpoint, released: released)
                .map { RetiredInstance(id: $0, key: key, endpoint: endpoint) }
        }
        isShortOfSlots = substitute == nil
        return substitute
    }
}

/// An instance that has left the snapshots of its service.
package struct RetiredInstance: Sendable, Hashable {
    package let id: InstanceID
    package let key: String
    package let endpoint: Endpoint
}
