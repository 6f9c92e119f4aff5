// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// Decides what to write: it remembers what this process has published, is told what is wanted and what stands, and says
/// what to do.
///
/// Pure: no clock, no store. One process publishes its presence key and one key for each wanted instance, all on its
/// lease. What is wanted no longer turns `draining`, stays so for the drain time, and is deleted then; wanted again
/// before that, it is `up` again by one write. An instance that changes is rewritten under its key, never deleted. In the
/// forms that know no state it stands as long as it takes new connections, and is deleted at once when it does not.
/// Times are counted from one beginning, the same for all.
package struct RegistrationPlanner: Sendable {
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

    /// The time, twice: to count by, and to write down.
    package struct Moment: Sendable, Hashable {
        /// Since some beginning.
        package let elapsed: Duration
        /// RFC 3339, for `since` of what has never been published.
        package let text: String

        package init(_ elapsed: Duration, _ text: String) {
            self.elapsed = elapsed
            self.text = text
        }
    }

    /// What an operator may want to know.
    package enum Notice: Sendable, Hashable {
        case registered(Registration, key: String)
        /// The instance under this key has another address now.
        case moved(Registration, key: String, from: Endpoint)
        case draining(Registration, key: String)
        case upAgain(Registration, key: String)
        /// Nobody wanted it any more, and it is gone.
        case withdrawn(Registration, key: String)
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

    let layout: KeyLayout
    let also: [SecondForm]
    let identity: NodeIdentity
    let drainTime: Duration
    /// The presence key first.
    var publications: [Publication]
    private(set) var lease: RegistryLease?
    private(set) var formerLeases: Set<RegistryLease> = []
    private(set) var isWithdrawing = false
    /// Who calls itself as our node does, by the last reading: revisions of the presence keys, ours left out.
    var siblings: [String: Int64] = [:]
    var hasRival = false
    /// The leases on which they hang: what stands on one of them is our node's, whatever it says.
    var siblingLeases: Set<RegistryLease> = []
    /// Whether any instance of ours has ever stood.
    package private(set) var hasPublished = false

    /// - Parameters:
    ///   - also: other programs' forms in which each instance stands as well.
    ///   - drainTime: from `draining` to the delete of what is no longer wanted.
    ///   - wanted: at the beginning; each under a key of its own.
    package init(
        layout: KeyLayout, also: [SecondForm] = [], identity: NodeIdentity, drainTime: Duration, wanted: [Wanted]
    ) {
        self.layout = layout
        self.also = also
        self.identity = identity
        self.drainTime = drainTime
        publications = [Publication(key: layout.presenceKey(node: identity.node, process: identity.process), nil)]
        wantedChanged(to: wanted, at: .zero)
    }

    /// The presence key first.
    package var keys: [String] { publications.map(\.key) }

    /// The instances that, as far as we know, stand as we wrote them.
    package var standing: [(registration: Registration, key: String)] {
        publications.compactMap { publication in
            guard publication.modRevision != nil, let registration = publication.registration else { return nil }
            return (registration, publication.key)
        }
    }

    /// Whether there may be an instance to take back: one that we have published, or sent and heard nothing of yet.
    package var mayStand: Bool {
        publications.contains { $0.registration != nil && ($0.wasPublished || $0.attempt != nil) }
    }

    /// When something has to be done that only time brings; by the same beginning as `Moment.elapsed`.
    package var deadline: Duration? { publications.compactMap { $0.deadline(drainTime: drainTime) }.min() }

    // MARK: What happened

    /// The whole set, instead of what was wanted before; without effect once the process withdraws. Of two under one key the
    /// first counts: what is wanted hangs on strangers' labels, none of which may end the process.
    package mutating func wantedChanged(to wanted: [Wanted], at now: Duration) {
        guard !isWithdrawing else { return }
        let forms = wanted.flatMap { one in ([nil] + also).compactMap { publication(of: one, in: $0) } }
        // Two names may be one in another form's as well.
        var new = Dictionary(forms.map { ($0.key, $0.wanted) }, uniquingKeysWith: { first, _ in first })
        for index in publications.indices where publications[index].registration != nil {
            if let wanted = new.removeValue(forKey: publications[index].key), publications[index].takes(wanted) {
                publications[index].wanted(wanted)
            } else {
                publications[index].unwanted(now: now)
            }
        }
        removeDeparted()
        for (key, form, _) in forms {
            guard let wanted = new.removeValue(forKey: key) else { continue }
            publications.append(Publication(key: key, form: form, wanted))
        }
    }

    private func publication(
        of wanted: Wanted, in form: SecondForm?
    ) -> (key: String, form: SecondForm?, wanted: Wanted)? {
        let (service, instance) = (wanted.registration.service, wanted.registration.instance)
        if let form { return form.key(service: service, instance: instance).map { ($0, form, wanted) } }
        return (layout.key(service: service, instance: instance, node: identity.node), nil, wanted)
    }

    /// From now on everything is to leave, and nothing is wanted.
    package mutating func withdrawalBegan() { isWithdrawing = true }

    package mutating func leaseGranted(_ lease: RegistryLease) {
        if self.lease != lease { leaseLost() }
        self.lease = lease
    }

    /// What was leaving goes with the lease; what is wanted has to be put again.
    package mutating func leaseLost() {
        if let lease { formerLeases.insert(lease) }
        lease = nil
        for index in publications.indices { publications[index].ended() }
    }

    /// Writes of the last plan that the store has taken. - Returns: what to tell of them.
    package mutating func committed(_ writes: [RegistryWrite], revision: Int64, at now: Duration) -> [Notice] {
        let written = Dictionary(uniqueKeysWithValues: writes.map { ($0.key, $0.operation) })
        var notices: [Notice] = []
        for index in publications.indices {
            switch written[publications[index].key] {
            case nil: continue
            case .put: notices += stood(index, as: publications[index].attempt?.word, at: revision, now: now)
            case .delete:
                if let notice = publications[index].departure { notices.append(notice) }
                publications[index].ended()
            }
        }
        removeDeparted()
        return notices
    }

    /// - Parameter word: nil for what is wanted now.
    mutating func stood(_ index: Int, as word: Publication.Word?, at revision: Int64, now: Duration) -> [Notice] {
        let word = word ?? publications[index].word(isWithdrawing: isWithdrawing)
        if word.registration != nil { hasPublished = true }
        return publications[index].stood(as: word, at: revision, now: now)
    }

    /// Leaving ones of which nothing is left.
    mutating func removeDeparted() { publications.removeAll { $0.goal == .leaving && $0.hasLeftNoTrace } }
}
