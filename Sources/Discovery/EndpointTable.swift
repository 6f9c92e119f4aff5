// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// Folds what a registry says of one service into the instances that may take new connections.
///
/// A pure state machine: it is told what happened and when, and answers with what to ask and what to tell. Times are
/// spans since an arbitrary start, never falling from call to call. How instances leave is in +Leaving.
///
/// ## Invariants
/// - `groups` holds exactly the endpoints in use; `present` counts those of them that have a key.
/// - An endpoint in `departures` has no usable key; it is in `groups` for as long as it is still used.
package struct EndpointTable: Sendable {
    /// Registry limits of one service.
    package static let maximumMembers = 10_000
    /// Skipped keys remembered by name; beyond, they are only counted.
    static let maximumSkipped = 10_000
    /// How long an answer about a lease or a connection is waited for (docs/promises.md, "When an instance leaves", 2 and 3).
    package static let questionLimit = Duration.seconds(1)
    /// A delete that follows another so closely is not taken for somebody's word (docs/promises.md, "When an instance leaves", 2).
    static let quietTime = Duration.seconds(2)
    /// How often a held instance is probed (docs/promises.md, "When an instance leaves", 3).
    static let probeInterval = Duration.seconds(5)

    /// Probes due this soon are made together, so that thousands of held instances do not each need a waking.
    static let slack = Duration.milliseconds(100)
    static let forgetInterval = Duration.seconds(1)

    package let service: ServiceName
    let layout: KeyLayout
    let source: EntrySource
    let policy: TargetPolicy
    let selection: Selection
    /// 0: rule 3 lets everything go at once.
    let hold: Duration
    package let absence: AbsencePolicy

    /// Newest revision of the registry that has been folded in, 0 before the first listing.
    package internal(set) var revision: Int64 = 0
    /// Whether a first listing is in: until then nothing is known, which is not the same as nothing being there.
    package internal(set) var isListed = false
    /// Whether the listing was the registry's own word: not a file's of an earlier process, nor a member's that could ask
    /// no other.
    package internal(set) var isConfirmed = false
    /// When that which was restored was the registry's own word, by the table's time, which may be before its
    /// beginning; nil once the registry has spoken itself, and when nothing was restored.
    package internal(set) var knownSince: Duration?
    /// Grows with each change of what `lastGood()` and `lastGoodWords()` say.
    package internal(set) var changes = 0
    /// Whether `instances(_:)` may have changed since it was last asked for.
    package internal(set) var hasChanged = false
    /// Whether `instances(_:)` found no slot for one of them.
    package internal(set) var isShortOfSlots = false
    /// Members that the tables of other services have: the limit of the process is shared.
    package var membersElsewhere = 0
    package internal(set) var counters = EndpointCounters()

    var entries: [EntryKey: Entry] = [:]
    /// Keys whose value is a name.
    var named: [EntryKey: Named] = [:]
    /// The addresses under which each of those stands in `entries` as well.
    var parts: [EntryKey: [IPAddress]] = [:]
    /// What each name was last found to be.
    var answers: [String: [IPAddress]] = [:]
    var groups: [Endpoint: Group] = [:]
    /// Endpoints whose group has come or changed since `inUse` was made, or has found no slot.
    var touched: Set<Endpoint> = []
    /// `groups` as the relay was told last, in the order of slots.
    var inUse: [Instance] = []
    var present = 0
    var departures: [Endpoint: Departure] = [:]
    /// Where a departed key's instance is, for the key's return.
    var departed: [EntryKey: Endpoint] = [:]
    var sizes = SizeHistory()
    var lastDelete: Duration?
    /// Whether what is known is believed no longer (`AbsencePolicy.Loss`).
    package internal(set) var isDisbelieved = false
    /// Who has left since the last snapshot because of a key that went, not because of what a key says: whom
    /// `AbsencePolicy.Emptiness.keep` may go on with.
    var lost: [Endpoint: Lost] = [:]
    /// Who takes over while nothing is left.
    var substitute: RetiredInstance?
    /// What operators say, by instance.
    var overrides: [EntryKey: Override] = [:]
    /// Our own listeners: never dialled, whatever the registry says.
    var ownEndpoints: Set<Endpoint> = []
    /// Instances that rule 2 let go lately, should it turn out that they were not alone in their revision.
    var meant: [Departure] = []
    /// Departures that rule 3 has to decide on.
    var leaving: [Endpoint] = []
    /// Not later than anything that waits for time.
    var earliest: Duration?
    var lastForgotten = Duration.zero
    /// Which departure a lease question or probe is about.
    var questions: [Int: Endpoint] = [:]
    var lastQuestion = 0
    /// Instances that have left since the last snapshot.
    var retiring: [RetiredInstance] = []
    var actions: [EndpointAction] = []
    var memberCount = 0
    var skippedCount = 0

    /// - Parameter hold: how long an instance that rule 3 takes out may be held, 0 for never.
    package init(
        service: ServiceName, layout: KeyLayout, policy: TargetPolicy, hold: Duration,
        absence: AbsencePolicy = AbsencePolicy(), source: EntrySource = EntrySource(),
        selection: Selection = Selection()
    ) {
        self.service = service
        self.layout = layout
        self.source = source
        self.policy = policy
        self.selection = selection
        self.hold = max(hold, .zero)
        self.absence = absence
    }

    // MARK: What the registry said

    /// Everything there is, at one revision. Compared with what we have, never cleared first: keys that are missing have
    /// been deleted, nobody knows how. A listing older than what we have changes nothing.
    /// - Parameter isConfirmed: false for the word of one member that could ask no other.
    package mutating func reset(
        _ listing: RegistryListing, isConfirmed: Bool = true, now: Duration
    ) -> [EndpointAction] {
        guard listing.revision >= revision else {
            counters.olderListings += 1
            return []
        }
        if isConfirmed, !self.isConfirmed {
            self.isConfirmed = true
            knownSince = nil
            changes += 1
        }
        forgetDepartures(now)
        revision = listing.revision
        isListed = true
        hasChanged = true
        var missing = entries.filter { $0.value.modRevision <= listing.revision }
        for entry in listing.entries {
            for key in all(EntryKey(entry.key)) { missing[key] = nil }
        }
        if !missing.isEmpty { lastDelete = now }
        let lost = missing.keys.sorted().compactMap { remove($0, now: now) }
        // An over-full service keeps those that have been there longest: the newest are ignored.
        let isCrowded = entries.count + listing.entries.count > capacity
        for entry in isCrowded ? listing.entries.sorted(by: { $0.modRevision < $1.modRevision }) : listing.entries {
            upsert(entry)
        }
        leave(lost, isMeant: false, now: now)
        return finish(now)
    }

    /// All that one revision changed in this service. One that is not newer than what we have is a repetition.
    /// - Parameter isShared: whether other keys than these were deleted in the same revision.
    package mutating func changed(
        _ changes: [RegistryChange], revision: Int64, isShared: Bool = false, now: Duration
    ) -> [EndpointAction] {
        guard revision > self.revision else {
            counters.repetitions += 1
            return []
        }
        forgetDepartures(now)
        forgetMeant(now)
        self.revision = revision
        var deleted: [Departure] = []
        var deletes = 0
        for change in changes {
            switch change {
            case .upsert(let entry): upsert(entry)
            case .remove(let key):
                deletes += 1
                for key in all(EntryKey(key)) {
                    guard let entry = entries[key], entry.modRevision < revision else { continue }
                    if let departure = remove(key, now: now) { deleted.append(departure) }
                }
            }
        }
        let isQuiet = lastDelete.map { now - $0 >= Self.quietTime } ?? true
        if deletes > 0 { lastDelete = now }
        leave(deleted, isMeant: deletes == 1 && !isShared && isQuiet, now: now)
        return finish(now)
    }

    /// The registry was restored to an earlier state: its revisions begin again, so that ours compare with nothing.
    /// Everything that is known stays until the next `reset`.
    package mutating func historyWentBack() {
        revision = 0
        for key in entries.keys { entries[key]?.modRevision = 0 }
    }

    // MARK: Within

    /// Members that this service may have.
    var capacity: Int { min(Self.maximumMembers, InstanceAllocator.standardCapacity - membersElsewhere) }

    /// Members, in use or not: what the limits count.
    package var members: Int { memberCount }

    mutating func finish(_ now: Duration) -> [EndpointAction] {
        sizes.changed(to: present, now: now, window: hold)
        defer { actions.removeAll() }
        return actions
    }
}
