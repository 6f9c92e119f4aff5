// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Many watchers on one stream: which must be created, from which revision, and what a response means for each.
///
/// Pure. Rules, each from client/v3/watch.go or an etcd quirk: creates go one at a time and wait for `created`; a
/// revision split over fragments is held back until its last one; the resume revision moves only with complete
/// responses; what was seen is not seen again; compaction means listing anew, never a gap.
struct WatchStateMachine {
    /// Whether a refusal may mean that a token has ended. etcd 3.4 calls that "permission denied", too.
    let hasTokens: Bool
    var watchers: [WatcherID: Watcher] = [:]
    var byWatchID: [Int64: WatcherID] = [:]
    var queue: [WatcherID] = []
    var pending: Int64?
    private var isOpen = false
    private var lastWatcher = 0
    /// How often history broke.
    private(set) var epoch = 0
    /// Ids are ours to choose (since 3.4), never used twice on a stream.
    private var lastWatchID: Int64 = 0

    init(hasTokens: Bool = false) { self.hasTokens = hasTokens }

    var isEmpty: Bool { watchers.isEmpty }

    /// Whether the server has something to tell us about.
    var isWatching: Bool {
        watchers.values.contains { watcher in
            if case .live = watcher.phase { true } else { false }
        }
    }

    /// Whether the server owes us a word: an event or a report one day, or the answer to a create.
    var isExpecting: Bool { pending != nil || isWatching }

    /// - Parameter known: the newest revision that the cluster has shown, nil before the first. A watch on one that is
    ///   not there yet would be accepted and silent for ever, should history have gone back: it begins with a listing.
    mutating func added(
        _ range: KeyRange, from revision: Revision, known: Revision? = nil
    ) -> (WatcherID, [Action]) {
        lastWatcher += 1
        let id = WatcherID(number: lastWatcher)
        watchers[id] = Watcher(range: range, nextRevision: revision)
        if let known, revision > known.next {
            watchers[id]?.nextRevision = Revision(1)
            return (id, relist(id))
        }
        queue.append(id)
        return (id, createNext())
    }

    mutating func removed(_ id: WatcherID) -> [Action] {
        guard let watcher = watchers.removeValue(forKey: id) else { return [] }
        queue.removeAll { $0 == id }
        switch watcher.phase {
        case .live(let watchID):
            byWatchID[watchID] = nil
            return [.cancel(watchID: watchID)]
        case .creating(let watchID):
            // `created` will come for nobody, and is answered with a cancel then.
            byWatchID[watchID] = nil
            return []
        case .queued, .relisting, .resting, .parked:
            return []
        }
    }

    mutating func streamOpened() -> [Action] {
        isOpen = true
        return createNext()
    }

    mutating func streamClosed() {
        isOpen = false
        pending = nil
        byWatchID = [:]
        for id in watchers.keys.sorted(by: { $0.number < $1.number }) {
            watchers[id]?.held = []
            switch watchers[id]?.phase {
            case .creating, .live:
                watchers[id]?.phase = .queued
                queue.append(id)
            case .queued, .relisting, .resting, .parked, nil: break
            }
        }
    }

    /// Whether a list of what stands may be delivered: it must be wanted, not be older than what was delivered
    /// (etcd#20418), nor of another history.
    /// - Parameter epoch: as it was when the list was asked for.
    func mayDeliver(_ id: WatcherID, at revision: Revision, epoch: Int) -> Bool {
        guard epoch == self.epoch, let watcher = watchers[id] else { return false }
        return watcher.phase == .relisting && revision.next >= watcher.nextRevision
    }

    /// A list of what stands is delivered.
    mutating func relisted(_ id: WatcherID, at revision: Revision) -> [Action] {
        guard watchers[id]?.phase == .relisting else { return [] }
        watchers[id]?.nextRevision = revision.next
        watchers[id]?.phase = .queued
        queue.append(id)
        return createNext()
    }

    /// Another cluster, or one restored from an older state, answers: no revision that we know means anything there.
    mutating func historyBroke() -> [Action] {
        epoch += 1
        return watchers.keys.sorted { $0.number < $1.number }.flatMap { id in
            watchers[id]?.nextRevision = Revision(1)
            return relist(id)
        }
    }

    /// A message was too large for us, and nobody can say for whom it was: whoever is live lists anew, in pages.
    mutating func unreadable() -> [Action] {
        let live = watchers.filter { if case .live = $0.value.phase { true } else { false } }
        return live.keys.sorted { $0.number < $1.number }.flatMap { relist($0) }
    }

    /// The time of `rest` is over.
    mutating func rested(_ id: WatcherID) -> [Action] {
        guard watchers[id]?.phase == .resting else { return [] }
        watchers[id]?.phase = .queued
        queue.append(id)
        return createNext()
    }

    /// The consumer did not take what was delivered: nothing more, until it is back.
    mutating func overflowed(_ id: WatcherID) -> [Action] {
        // A list that is on its way says all that was dropped. Parked now, the watcher would not hear of its delivery,
        // and list a second time beside it.
        guard watchers[id]?.phase != .relisting else { return [] }
        return stop(id, for: .parked)
    }

    /// The consumer is back.
    mutating func drained(_ id: WatcherID) -> [Action] {
        guard watchers[id]?.phase == .parked else { return [] }
        return relist(id)
    }

    mutating func relist(_ id: WatcherID) -> [Action] {
        guard let watcher = watchers[id], watcher.phase != .relisting else { return [] }
        return stop(id, for: .relisting) + [.relist(id, watcher.range)]
    }

    /// Takes a watcher from the server.
    private mutating func stop(_ id: WatcherID, for phase: Phase) -> [Action] {
        guard var watcher = watchers[id] else { return [] }
        var actions: [Action] = []
        if case .live(let watchID) = watcher.phase, byWatchID.removeValue(forKey: watchID) != nil {
            actions.append(.cancel(watchID: watchID))
        }
        if case .creating(let watchID) = watcher.phase { byWatchID[watchID] = nil }
        queue.removeAll { $0 == id }
        watcher.phase = phase
        watcher.held = []
        watchers[id] = watcher
        return actions
    }

    mutating func createNext() -> [Action] {
        guard isOpen, pending == nil, !queue.isEmpty else { return [] }
        let id = queue.removeFirst()
        guard let watcher = watchers[id] else { return createNext() }
        lastWatchID += 1
        pending = lastWatchID
        byWatchID[lastWatchID] = id
        watchers[id]?.phase = .creating(watchID: lastWatchID)
        return [.create(watchID: lastWatchID, watcher.range, from: watcher.nextRevision)]
    }
}
