// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
package import ServiceModel

// MARK: Keys and the instances that they stand for

extension EndpointTable {
    /// A key has a new value. One that is not newer than what we have is a repetition.
    mutating func upsert(_ new: RegistryEntry) {
        let key = EntryKey(new.key)
        let old = entries[key]
        if let old, new.modRevision <= old.modRevision { return }
        var entry = Entry(lease: new.lease, modRevision: new.modRevision, member: old?.member)
        do throws(SkipReason) {
            entry.member = try member(of: new, isNew: old?.member == nil)
            if let member = entry.member, ownEndpoints.contains(member.endpoint) { entry.problem = .ownListener }
        } catch {
            if error == .name, let named = named(by: new) {
                entry.member = nil
                return follow(key, named, entry, old)
            }
            entry.problem = error
            // Another protocol is a valid word, and it is not about us; everything else leaves the last valid word.
            if error == .proto { entry.member = nil }
        }
        place(key, old, entry)
        if entry.problem == nil || entry.problem == .proto || entry.member != nil { unfollow(key) }
    }

    /// Puts an entry in its place, and its member to use or out of it.
    mutating func place(_ key: EntryKey, _ old: Entry?, _ entry: Entry) {
        replace(key, old, with: entry)
        move(key, from: old?.member, to: entry.member)
        // A departed key is back: for the same instance (`move` has seen to that), or it means something else now.
        if let endpoint = departed[key], entry.member != nil || entry.problem == .proto {
            endDeparture(endpoint, .replaced)
        }
    }

    /// A key is gone. - Returns: the instance that has no key any more and is still in use; nil if there is none.
    mutating func remove(_ key: EntryKey, now: Duration) -> Departure? {
        guard let entry = entries[key] else { return nil }
        replace(key, entry, with: nil)
        forgetName(of: key)
        guard let member = entry.member, isUsable(member), part(key, from: member.endpoint) else { return nil }
        return Departure(
            key: key, member: groups[member.endpoint]?.member ?? member, lease: entry.lease,
            modRevision: entry.modRevision, leftAt: now, until: now + hold, phase: .leaving)
    }

    /// Our own listeners have changed.
    package mutating func ownEndpointsChanged(to own: Set<Endpoint>, now: Duration) -> [EndpointAction] {
        let affected = ownEndpoints.symmetricDifference(own)
        guard !affected.isEmpty else { return [] }
        forgetDepartures(now)
        for (key, old) in entries {
            guard let member = old.member, affected.contains(member.endpoint) else { continue }
            let isOwn = own.contains(member.endpoint)
            if isOwn, member.isWilling, part(key, from: member.endpoint) { retire(member.endpoint) }
            var entry = old
            if isOwn { entry.problem = .ownListener } else if old.problem == .ownListener { entry.problem = nil }
            replace(key, old, with: entry)
        }
        ownEndpoints = own
        // Also who is in no entry may be ours: a fallback, or one that is kept.
        hasChanged = true
        if let endpoint = absence.fallback, affected.contains(endpoint), own.contains(endpoint) {
            actions.append(.tell(.skipped(key: fallbackKey, .ownListener)))
        }
        for (key, entry) in entries {
            guard let member = entry.member, affected.contains(member.endpoint), isUsable(member) else { continue }
            join(key, member)
        }
        for endpoint in affected where own.contains(endpoint) { endDeparture(endpoint, .replaced) }
        return finish(now)
    }

    func isUsable(_ member: Member) -> Bool { member.isWilling && !ownEndpoints.contains(member.endpoint) }

    private func member(of new: RegistryEntry, isNew: Bool) throws(SkipReason) -> Member {
        let node = try node(in: new.key)
        var record = try source.decode(new.value, key: new.key)
        if let node {
            // Bytes: String's == takes two spellings of é for the same, roles do not.
            guard (record.node ?? node).utf8.elementsEqual(node.utf8) else { throw .node }
            record.node = node
        }
        return try member(record, key: new.key, isNew: isNew, modRevision: new.modRevision)
    }

    /// The node that a key of this service names, if it does.
    func node(in key: String) throws(SkipReason) -> String? {
        guard let prefix = source.prefix else {
            guard let place = layout.parse(key), place.service == service else { throw .key }
            return place.node
        }
        guard KeyLayout.remainder(of: key, below: "\(prefix)/") != nil else { throw .key }
        return nil
    }

    func member(
        _ record: InstanceRecord, key: String, isNew: Bool, modRevision: Int64
    ) throws(SkipReason) -> Member {
        if let problem = record.tcpProblem { throw problem }
        if let problem = policy.check(record.endpoint, service: service) { throw problem }
        // A first value is remembered although it is our own listener's: that listener may close. It replaces no other.
        if !isNew, ownEndpoints.contains(record.endpoint) { throw .ownListener }
        if isNew, memberCount >= capacity { throw .tooMany }
        return overridden(Member(record, modRevision: modRevision, selection: selection), key: key)
    }

    /// Puts an entry in its place, or away, and keeps the counts.
    mutating func replace(_ key: EntryKey, _ old: Entry?, with new: Entry?) {
        memberCount += (new?.member == nil ? 0 : 1) - (old?.member == nil ? 0 : 1)
        skippedCount += (new?.problem == nil ? 0 : 1) - (old?.problem == nil ? 0 : 1)
        if let problem = new?.problem, problem != old?.problem {
            counters.skipped[problem, default: 0] += 1
            // So many bad keys are an attack or an accident: remembering them all would be its success.
            if old == nil, new?.member == nil, skippedCount > Self.maximumSkipped {
                skippedCount -= 1
                return
            }
            actions.append(.tell(.skipped(key: key.text, problem)))
        }
        if old?.member != new?.member { changes += 1 }
        entries[key] = new
    }

    /// A key's member has changed. What it stood for before is out of use at once: somebody wrote that.
    mutating func move(_ key: EntryKey, from old: Member?, to new: Member?) {
        let source = old.flatMap { isUsable($0) ? $0.endpoint : nil }
        let target = new.flatMap { isUsable($0) ? $0 : nil }
        if let source, source != target?.endpoint, part(key, from: source) { retire(source) }
        if let target { join(key, target) }
    }

    private mutating func join(_ key: EntryKey, _ member: Member) {
        let endpoint = member.endpoint
        endDeparture(endpoint, .returned, isReturning: true)
        lost[endpoint] = nil
        var group = groups[endpoint] ?? Group(identity: key, keys: [], member: member)
        if group.keys.isEmpty { present += 1 }
        if !group.keys.contains(key) { group.keys.append(key) }
        groups[endpoint] = group
        refresh(endpoint)
    }

    /// - Returns: whether the endpoint is in use and no key stands for it any more.
    private mutating func part(_ key: EntryKey, from endpoint: Endpoint) -> Bool {
        guard var group = groups[endpoint], let index = group.keys.firstIndex(of: key) else { return false }
        group.keys.remove(at: index)
        groups[endpoint] = group
        if group.keys.isEmpty {
            present -= 1
            return true
        }
        refresh(endpoint)
        return false
    }

    /// Takes the attributes of the newest key: two keys with one address are one instance.
    private mutating func refresh(_ endpoint: Endpoint) {
        touched.insert(endpoint)
        hasChanged = true
        guard let group = groups[endpoint] else { return }
        let members = group.keys.compactMap { entries[$0]?.member }
        if let newest = members.max(by: { $0.modRevision < $1.modRevision }) { groups[endpoint]?.member = newest }
    }

    /// Takes an instance out of use.
    /// - Parameter isLost: because its key has gone.
    mutating func retire(_ endpoint: Endpoint, isLost: Bool = false) {
        guard let group = groups.removeValue(forKey: endpoint) else { return }
        hasChanged = true
        if isLost, absence.onEmpty == .keep { lost[endpoint] = Lost(key: group.identity, member: group.member) }
        if let id = group.id { retiring.append(RetiredInstance(id: id, key: group.identity.text, endpoint: endpoint)) }
    }
}
