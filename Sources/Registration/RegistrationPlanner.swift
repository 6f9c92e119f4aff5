// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// Decides what to write: it remembers what this process has published, is told what stands, and says what to do.
///
/// Pure: no clock, no store. One process publishes its presence key and one key for each registration, all on its lease.
package struct RegistrationPlanner: Sendable {
    /// What the keys are to say.
    package enum Goal: Sendable {
        case up
        case draining
    }

    /// A key as it was read.
    package struct Standing: Sendable, Hashable {
        /// With its value; nil when there is none.
        package let entry: RegistryEntry?
        /// Whether the entry's lease lives; read only when the lease is not one of ours.
        package let isLeaseAlive: Bool

        package init(_ entry: RegistryEntry?, isLeaseAlive: Bool = false) {
            self.entry = entry
            self.isLeaseAlive = isLeaseAlive
        }
    }

    /// What an operator may want to know.
    package enum Notice: Sendable, Hashable {
        case registered(Registration, key: String)
        /// Somebody else changed or removed what we keep; it is put back.
        case changed(key: String)
        /// Another node, nil when it does not say which, keeps this key under a living lease, or without one.
        case foreignOwner(key: String, node: String?)
        /// A newer process of this node keeps it.
        case yielded(key: String)
    }

    package struct Plan: Sendable, Hashable {
        package var writes: [RegistryWrite] = []
        package var notices: [Notice] = []
        /// Notices that were in an earlier plan and still hold: told already.
        package var repeated: [Notice] = []
        /// Whether some key is in other hands.
        package var isContested = false
    }

    enum Verdict: Hashable {
        case settled
        /// Ours as it should be; only the reply that said so was lost.
        case known(RegistryEntry)
        case create
        case replace(RegistryEntry, wasChanged: Bool)
        case foreign(node: String?)
        case yield
        case none
    }

    private struct Publication: Sendable {
        let key: String
        /// Nil for the presence key.
        let registration: Registration?
        var modRevision: Int64?
        /// Whether this process has ever published it: who takes it over then is newer than we are.
        var wasPublished = false
        var lastNotice: Notice?
    }

    private let identity: NodeIdentity
    private var publications: [Publication]
    private var since: String?
    private var lease: RegistryLease?
    private var formerLeases: Set<RegistryLease> = []

    package init(layout: KeyLayout, identity: NodeIdentity, registrations: [Registration]) {
        self.identity = identity
        let presence = layout.presenceKey(node: identity.node, process: identity.process)
        publications = [Publication(key: presence, registration: nil)]
        publications += registrations.map {
            Publication(key: layout.key(service: $0.service, instance: $0.instance), registration: $0)
        }
        precondition(Set(publications.map(\.key)).count == publications.count, "two registrations under one key")
    }

    /// The presence key first.
    package var keys: [String] { publications.map(\.key) }

    /// Whether any instance of ours has ever stood.
    package var hasPublished: Bool { publications.contains { $0.wasPublished && $0.registration != nil } }

    /// The instances that, as far as we know, stand as we wrote them.
    package var standing: [(registration: Registration, key: String)] {
        publications.compactMap { publication in
            guard publication.modRevision != nil, let registration = publication.registration else { return nil }
            return (registration, publication.key)
        }
    }

    // MARK: What happened

    package mutating func leaseGranted(_ lease: RegistryLease) {
        if let former = self.lease, former != lease { formerLeases.insert(former) }
        if self.lease != lease {
            for index in publications.indices { publications[index].modRevision = nil }
        }
        self.lease = lease
    }

    package mutating func leaseLost() {
        if let lease { formerLeases.insert(lease) }
        lease = nil
        for index in publications.indices { publications[index].modRevision = nil }
    }

    /// Writes that the store has taken. - Returns: what to tell of them.
    package mutating func committed(_ writes: [RegistryWrite], revision: Int64, since: String) -> [Notice] {
        let written = Dictionary(uniqueKeysWithValues: writes.map { ($0.key, $0.operation) })
        var notices: [Notice] = []
        for index in publications.indices {
            guard let operation = written[publications[index].key] else { continue }
            guard case .put = operation else {
                publications[index].modRevision = nil
                continue
            }
            if publications[index].modRevision == nil, let registration = publications[index].registration {
                notices.append(.registered(registration, key: publications[index].key))
            }
            publications[index].modRevision = revision
            publications[index].wasPublished = true
        }
        self.since = self.since ?? since
        return notices
    }

    // MARK: What to do

    /// Whether we have put the key under the lease in force.
    package func isWritten(_ key: String) -> Bool { publications.contains { $0.key == key && $0.modRevision != nil } }

    /// Whether the key stands as we wrote it, to be told from a listing without values.
    package func isUndisturbed(_ key: String, _ entry: RegistryEntry?) -> Bool {
        guard let entry, let own = publications.first(where: { $0.key == key }) else { return false }
        return lease != nil && entry.lease == lease && entry.modRevision == own.modRevision
    }

    package func isOwn(_ lease: RegistryLease) -> Bool { lease == self.lease || formerLeases.contains(lease) }

    /// A living registrator of another machine that goes by our name, if there is one.
    /// - Parameter presences: everything below our node's range. A key that stands counts as alive: its lease, when it
    ///   ends, takes it away.
    package func rival(among presences: [RegistryEntry]) -> PresenceRecord? {
        for entry in presences {
            guard let record = try? PresenceRecord(decoding: entry.value, node: identity.node) else { continue }
            if record.boot != identity.boot { return record }
        }
        return nil
    }

    /// - Parameters:
    ///   - standing: what stands under each of `keys`; a key that is missing here is as we left it.
    ///   - now: RFC 3339, for `since` of what has never been published.
    package mutating func plan(_ goal: Goal, standing: [String: Standing], now: String) -> Plan {
        guard let lease else { return Plan() }
        var plan = Plan()
        for index in publications.indices {
            guard let stands = standing[publications[index].key] else {
                publications[index].lastNotice = nil
                continue
            }
            let value = value(of: publications[index], goal, since: since ?? now)
            let verdict = verdict(on: stands, of: publications[index], value, goal)
            apply(verdict, to: index, RegistryWrite.Operation.put(value, lease: lease), &plan)
        }
        return plan
    }

    /// Writes that need no reading: everything that we last wrote ourselves turns `draining`.
    package func drain() -> [RegistryWrite] {
        guard let lease else { return [] }
        return publications.compactMap { publication in
            guard let revision = publication.modRevision, publication.registration != nil else { return nil }
            let value = value(of: publication, .draining, since: since ?? "")
            return RegistryWrite(
                key: publication.key, condition: .unchanged(modRevision: revision),
                operation: .put(value, lease: lease))
        }
    }

    /// The deletes of the instances that we last wrote ourselves, each guarded by that: a newer registration stays.
    package func removals() -> [RegistryWrite] {
        publications.compactMap { publication in
            guard let revision = publication.modRevision, publication.registration != nil else { return nil }
            return .delete(publication.key, modRevision: revision)
        }
    }

    private mutating func apply(
        _ verdict: Verdict, to index: Int, _ operation: RegistryWrite.Operation, _ plan: inout Plan
    ) {
        let key = publications[index].key
        var notice: Notice?
        switch verdict {
        case .settled: break
        case .known(let entry):
            if publications[index].modRevision == nil, let registration = publications[index].registration {
                plan.notices.append(.registered(registration, key: key))
            }
            publications[index].modRevision = entry.modRevision
            publications[index].wasPublished = true
        case .create:
            let wasOurs = publications[index].modRevision != nil
            notice = wasOurs ? .changed(key: key) : nil
            plan.writes.append(RegistryWrite(key: key, condition: .absent, operation: operation))
        case .replace(let entry, let wasChanged):
            notice = wasChanged ? .changed(key: key) : nil
            plan.writes.append(
                RegistryWrite(key: key, condition: .unchanged(modRevision: entry.modRevision), operation: operation))
        case .foreign(let node):
            notice = .foreignOwner(key: key, node: node)
            publications[index].modRevision = nil
            plan.isContested = true
        case .yield:
            notice = .yielded(key: key)
            publications[index].modRevision = nil
            plan.isContested = true
        case .none: publications[index].modRevision = nil
        }
        if let notice {
            if notice == publications[index].lastNotice {
                plan.repeated.append(notice)
            } else {
                plan.notices.append(notice)
            }
        }
        publications[index].lastNotice = notice
    }

    private func verdict(
        on stands: Standing, of own: Publication, _ value: [UInt8], _ goal: Goal
    ) -> Verdict {
        guard let entry = stands.entry else { return goal == .up ? .create : .none }
        if entry.lease == lease {
            if entry.value == value { return entry.modRevision == own.modRevision ? .settled : .known(entry) }
            return .replace(entry, wasChanged: own.modRevision.map { $0 != entry.modRevision } ?? false)
        }
        // What never stood need not be taken back; the presence key goes with the lease.
        if goal == .draining, own.registration == nil || !own.wasPublished { return .none }
        // Our presence key is ours whatever stands there: its name holds this process's random id.
        guard own.registration != nil else { return .replace(entry, wasChanged: own.modRevision != nil) }
        let node = (try? InstanceRecord(decoding: entry.value))?.node
        guard let other = entry.lease else {
            if own.wasPublished { return .replace(entry, wasChanged: true) }
            return node == nil || node == identity.node ? .replace(entry, wasChanged: false) : .foreign(node: node)
        }
        if formerLeases.contains(other) || !stands.isLeaseAlive { return .replace(entry, wasChanged: false) }
        guard node == identity.node else { return .foreign(node: node) }
        return own.wasPublished ? .yield : .replace(entry, wasChanged: false)
    }

    private func value(of publication: Publication, _ goal: Goal, since: String) -> [UInt8] {
        guard let registration = publication.registration else {
            return PresenceRecord(
                node: identity.node, address: identity.address, zone: identity.zone, version: identity.version,
                boot: identity.boot, since: since
            ).encoded()
        }
        let state: InstanceRecord.State = goal == .up ? .up : .draining
        return registration.record(node: identity.node, state: state, since: since).encoded()
    }
}
