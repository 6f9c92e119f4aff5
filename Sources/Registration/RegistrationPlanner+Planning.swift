// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

// MARK: What to do

extension RegistrationPlanner {
    enum Verdict: Hashable {
        case settled
        /// Ours as it should be; only the reply that said so was lost.
        case known(RegistryEntry)
        case create
        case replace(RegistryEntry, wasChanged: Bool)
        case foreign(node: String?)
        case yield
        /// There is nothing of ours, and there is to be nothing.
        case gone
        /// There is something of ours, and there is to be nothing.
        case remove(RegistryEntry)
    }

    /// - Parameter standing: what stands under each of `keys`; a key that is missing here is as we left it.
    package mutating func plan(standing: [String: Standing], now: Moment) -> Plan {
        guard lease != nil else { return Plan() }
        var plan = Plan()
        for index in publications.indices {
            let count = plan.writes.count
            if let stands = standing[publications[index].key] {
                let word = publications[index].word(isWithdrawing: isWithdrawing)
                let value = value(of: publications[index], word, now)
                apply(verdict(on: stands, of: publications[index], value, now), to: index, word, value, now, &plan)
            } else {
                publications[index].lastNotice = nil
            }
            if plan.writes.count == count, let write = delete(index, now) { plan.writes.append(write) }
        }
        removeDeparted()
        return plan
    }

    /// Writes that need no reading: everything that we last wrote ourselves turns `draining`, or goes where that cannot be
    /// said.
    package mutating func drain(now: Moment) -> [RegistryWrite] {
        guard let lease else { return [] }
        return publications.indices.compactMap { index in
            guard let revision = publications[index].modRevision, publications[index].registration != nil else {
                return nil
            }
            let word = Publication.Word(registration: publications[index].registration, state: .draining)
            guard let value = value(of: publications[index], word, now) else {
                publications[index].attempted(nil, now: now)
                return .delete(publications[index].key, modRevision: revision)
            }
            publications[index].attempted(word, now: now)
            return RegistryWrite(
                key: publications[index].key, condition: .unchanged(modRevision: revision),
                operation: .put(value, lease: lease))
        }
    }

    /// The deletes of the instances that we last wrote ourselves, each guarded by that: a newer registration stays.
    /// - Parameter wantedToo: also of those that are not leaving.
    package func removals(wantedToo: Bool = true) -> [RegistryWrite] {
        publications.compactMap { publication in
            guard let revision = publication.modRevision, publication.registration != nil,
                wantedToo || publication.goal == .leaving
            else { return nil }
            return .delete(publication.key, modRevision: revision)
        }
    }

    /// A leaving one whose time has come and that stands as we wrote it.
    private mutating func delete(_ index: Int, _ now: Moment) -> RegistryWrite? {
        guard publications[index].isDue(now: now.elapsed, drainTime: drainTime), !isWithdrawing,
            let revision = publications[index].modRevision
        else { return nil }
        publications[index].attempted(nil, now: now)
        return .delete(publications[index].key, modRevision: revision)
    }

    private mutating func apply(
        _ verdict: Verdict, to index: Int, _ word: Publication.Word, _ value: [UInt8]?, _ now: Moment,
        _ plan: inout Plan
    ) {
        let key = publications[index].key
        let isLeaving = publications[index].goal == .leaving
        var notice: Notice?
        switch verdict {
        case .settled: publications[index].confirmed()
        case .known(let entry):
            plan.notices += stood(index, as: word, at: entry.modRevision, now: now.elapsed)
        case .create:
            notice = publications[index].isMissed ? .changed(key: key) : nil
            plan.writes.append(.create(key, value ?? [], lease: lease))
            publications[index].attempted(word, now: now)
        case .replace(let entry, let wasChanged):
            notice = wasChanged ? .changed(key: key) : nil
            plan.writes.append(.replace(entry, with: value ?? [], lease: lease))
            publications[index].attempted(word, now: now)
        case .foreign(let node):
            notice = isLeaving ? nil : .foreignOwner(key: key, node: node)
            plan.isContested = plan.isContested || !isLeaving
            publications[index].vanished(now: now.elapsed)
        case .yield:
            notice = isLeaving ? nil : .yielded(key: key)
            plan.isContested = plan.isContested || !isLeaving
            publications[index].vanished(now: now.elapsed)
        case .gone:
            if !isWithdrawing, let departure = publications[index].departure { plan.notices.append(departure) }
            publications[index].vanished(now: now.elapsed)
        case .remove(let entry):
            plan.writes.append(.delete(key, modRevision: entry.modRevision))
            publications[index].attempted(nil, now: now)
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

    /// - Parameter value: that is to stand; nil: none.
    private func verdict(
        on stands: Standing, of own: Publication, _ value: [UInt8]?, _ now: Moment
    ) -> Verdict {
        let verdict = ownership(of: stands, own, value, now)
        guard own.mayBegin || isLeft(stands.entry, for: own, value) else { return .gone }
        guard value == nil else { return verdict }
        return switch verdict {
        case .create: .gone
        case .replace(let entry, _): .remove(entry)
        case .foreign, .yield: .gone
        case .settled, .known, .gone, .remove: verdict
        }
    }

    /// Whether a process of our node has left an entry that says what is to be said.
    private func isLeft(_ entry: RegistryEntry?, for own: Publication, _ value: [UInt8]?) -> Bool {
        guard let entry, own.form == nil else { return entry?.value == value }
        guard let record = try? InstanceRecord(decoding: entry.value) else { return false }
        return record.node == identity.node && record.state == .up && record.endpoint == own.registration?.endpoint
    }

    private func ownership(
        of stands: Standing, _ own: Publication, _ value: [UInt8]?, _ now: Moment
    ) -> Verdict {
        let isLeaving = isWithdrawing || own.goal == .leaving
        guard let entry = stands.entry else { return isLeaving ? .gone : .create }
        if entry.lease == lease {
            if entry.value == value { return entry.modRevision == own.modRevision ? .settled : .known(entry) }
            // What was sent without an answer and stands now is our own change.
            let isOwnAttempt = own.attempt?.word.map { self.value(of: own, $0, now) == entry.value } ?? false
            let wasChanged = own.modRevision.map { $0 != entry.modRevision } ?? false
            return .replace(entry, wasChanged: wasChanged && !isOwnAttempt)
        }
        // What never stood need not be taken back; the presence key goes with the lease.
        if isLeaving, own.registration == nil || !own.wasPublished { return .gone }
        // Our presence key is ours whatever stands there: its name holds this process's random id.
        guard own.registration != nil else { return .replace(entry, wasChanged: own.modRevision != nil) }
        let node = node(of: entry, own, value)
        guard let other = entry.lease else {
            if own.wasPublished { return .replace(entry, wasChanged: true) }
            // What says nothing of whose it is may be an operator's word about us; in another form, anybody's.
            let isOurs = node == identity.node || node == nil && own.form == nil
            return isOurs ? .replace(entry, wasChanged: false) : .foreign(node: node)
        }
        if formerLeases.contains(other) || !stands.isLeaseAlive { return .replace(entry, wasChanged: false) }
        guard node == identity.node else { return .foreign(node: node) }
        return own.wasPublished ? .yield : .replace(entry, wasChanged: false)
    }

    /// Whose an entry is that hangs on none of our leases; nil when that cannot be told. Other programs' forms do not say
    /// it, but the lease may, on which the presence of a process of our node hangs too.
    private func node(of entry: RegistryEntry, _ own: Publication, _ value: [UInt8]?) -> String? {
        guard own.form != nil else { return (try? InstanceRecord(decoding: entry.value))?.node }
        let isOurs = entry.lease.map { siblingLeases.contains($0) } ?? (entry.value == value)
        return isOurs ? identity.node : nil
    }

    /// - Returns: nil when the form has no word for it.
    private func value(of publication: Publication, _ word: Publication.Word, _ now: Moment) -> [UInt8]? {
        let since = publication.since ?? now.text
        guard let registration = word.registration else {
            return PresenceRecord(
                node: identity.node, address: identity.address, zone: identity.zone, version: identity.version,
                boot: identity.boot, since: since
            ).encoded()
        }
        let record = registration.record(
            node: identity.node, zone: identity.zone, state: word.state, since: since)
        guard let form = publication.form else { return record.encoded() }
        return form.value(record)
    }
}
