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
        lost = [:]
        update(from: &allocator, released: released)
        if isDisbelieved || groups.isEmpty {
            isShortOfSlots = false
            let substitute = substitute(from: &allocator, released: released)
            let instances = substitute.map { [Instance(id: $0.id, endpoint: $0.endpoint)] } ?? []
            return (instances, left(behind: instances))
        }
        if let substitute { retiring.append(substitute) }
        substitute = nil
        isShortOfSlots = !touched.isEmpty
        return (inUse, left(behind: inUse))
    }

    /// Brings `inUse` up to what `groups` say. Only what has changed is looked at: a snapshot of ten thousand instances, of
    /// which one has changed, costs a copy.
    private mutating func update(from allocator: inout InstanceAllocator, released: (InstanceID) -> Bool) {
        guard !touched.isEmpty || !retiring.isEmpty else { return }
        // What stands at a slot now: nil for nothing.
        var changes: [UInt32: Instance?] = [:]
        for instance in retiring { changes.updateValue(nil, forKey: instance.id.slot) }
        // One without an ID finds every slot taken by connections that still run: it is looked at again next time.
        var waiting: Set<Endpoint> = []
        for endpoint in touched.sorted() {
            guard let group = groups[endpoint] else { continue }
            let id = group.id ?? allocator.acquire(key: group.identity.text, endpoint: endpoint, released: released)
            guard let id else {
                waiting.insert(endpoint)
                continue
            }
            groups[endpoint]?.id = id
            let instance = Instance(
                id: id, endpoint: endpoint, weight: group.member.weight, priority: group.member.tier)
            changes.updateValue(instance, forKey: id.slot)
        }
        touched = waiting
        var (updated, rest): ([Instance], ArraySlice<Instance>) = ([], inUse[...])
        updated.reserveCapacity(inUse.count + changes.count)
        for (slot, instance) in changes.sorted(by: { $0.key < $1.key }) {
            let place = rest.place(ofSlot: slot)
            updated += rest[..<place]
            rest = rest[place...]
            if rest.first?.id.slot == slot { rest.removeFirst() }
            if let instance { updated.append(instance) }
        }
        updated += rest
        inUse = updated
    }

    /// Whether `instances(_:)` is not to be asked now: of what it said last, `kept` is to be used on.
    package var keepsLast: Bool { absence.onEmpty == .keep && groups.isEmpty && !isDisbelieved }

    /// Those of the last snapshot who are used on while nobody is left: whose key has gone. Who was drained, or
    /// moved, or is ourselves, is not; nor one about whom an operator has said so since.
    func kept(of instances: [Instance]) -> [Instance] {
        // What stands is unwilling, for nobody is in use.
        let standing = Set(entries.values.compactMap { $0.member?.endpoint })
        return instances.filter { instance in
            guard let endpoint = instance.endpoint, let lost = lost[endpoint], !standing.contains(endpoint) else {
                return false
            }
            return isUsable(overridden(lost.member, key: lost.key.text))
        }
    }

    /// The registry has been silent for too long, or speaks again.
    package mutating func setDisbelieved(_ isDisbelieved: Bool) {
        guard self.isDisbelieved != isDisbelieved else { return }
        self.isDisbelieved = isDisbelieved
        hasChanged = true
    }

    private mutating func left(behind instances: [Instance]) -> [RetiredInstance] {
        guard !retiring.isEmpty else { return [] }
        defer { retiring = [] }
        return retiring.filter { !instances.includes($0.id) }
    }

    /// No key of a registry is called so: they begin with a slash or are a target's.
    var fallbackKey: String { "fallback of \(service)" }

    private mutating func substitute(
        from allocator: inout InstanceAllocator, released: (InstanceID) -> Bool
    ) -> RetiredInstance? {
        guard let endpoint = absence.fallback else { return nil }
        // The operator's own word is no way round either: it would be a loop.
        guard !ownEndpoints.contains(endpoint) else {
            if let substitute { retiring.append(substitute) }
            substitute = nil
            return nil
        }
        if substitute == nil {
            let key = fallbackKey
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
