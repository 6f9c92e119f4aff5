// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Many watchers on one stream: which must be created, from which revision, and what a response means for each.
///
/// Pure. Rules, each from client/v3/watch.go or an etcd quirk: creates go one at a time and wait for `created`; a
/// revision split over fragments is held back until its last one; the resume revision moves only with complete
/// responses; what was seen is not seen again; compaction means listing anew, never a gap.
struct WatchStateMachine {
    struct WatcherID: Hashable {
        let number: Int
    }

    enum Action: Equatable {
        case create(watchID: Int64, KeyRange, from: Revision)
        case cancel(watchID: Int64)
        case deliver(WatcherID, [WatchEvent])
        /// History is gone: list `range`, deliver a reset, then say `relisted`.
        case relist(WatcherID, KeyRange)
        /// The server refuses this watcher; waiting alone does not mend it.
        case fail(WatcherID, EtcdError.Code, reason: String)
        /// This stream is of no use any more; open another, elsewhere when the member has no leader.
        case reconnect(reason: String)
    }

    /// What of a response matters, with events already in our types.
    struct Response {
        var watchID: Int64
        var revision: Revision
        var isCreated = false
        var isCanceled = false
        var compactRevision = Revision(0)
        var cancelReason = ""
        var isFragment = false
        var changes: [WatchChange] = []
    }

    private enum Phase: Equatable {
        /// Waits for its turn, or for a stream.
        case queued
        case creating(watchID: Int64)
        case live(watchID: Int64)
        case relisting
    }

    private struct Watcher {
        let range: KeyRange
        /// The first revision that has not been delivered.
        var nextRevision: Revision
        var phase = Phase.queued
        /// Changes of fragments whose last one has not come.
        var held: [WatchChange] = []
    }

    private var watchers: [WatcherID: Watcher] = [:]
    private var byWatchID: [Int64: WatcherID] = [:]
    private var queue: [WatcherID] = []
    private var pending: Int64?
    private var isOpen = false
    private var lastWatcher = 0
    /// Ids are ours to choose (since 3.4), never used twice on a stream.
    private var lastWatchID: Int64 = 0

    var isEmpty: Bool { watchers.isEmpty }

    mutating func added(_ range: KeyRange, from revision: Revision) -> (WatcherID, [Action]) {
        lastWatcher += 1
        let id = WatcherID(number: lastWatcher)
        watchers[id] = Watcher(range: range, nextRevision: revision)
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
        case .queued, .relisting:
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
        for id in watchers.keys.sorted(by: { $0.number < $1.number }) where watchers[id]?.phase != .relisting {
            watchers[id]?.held = []
            if watchers[id]?.phase != .queued { queue.append(id) }
            watchers[id]?.phase = .queued
        }
    }

    /// A list that a compaction asked for is delivered.
    mutating func relisted(_ id: WatcherID, at revision: Revision) -> [Action] {
        guard watchers[id]?.phase == .relisting else { return [] }
        watchers[id]?.nextRevision = revision.next
        watchers[id]?.phase = .queued
        queue.append(id)
        return createNext()
    }

    /// Another cluster, or one restored from an older state, answers: no revision that we know means anything there.
    mutating func historyBroke() -> [Action] {
        watchers.keys.sorted { $0.number < $1.number }.flatMap { relist($0) }
    }

    mutating func received(_ response: Response) -> [Action] {
        if response.isCreated { return created(response) }
        guard let id = byWatchID[response.watchID] else {
            // -1 is a progress report for all; any other is a watcher that was removed while it was being created.
            return response.watchID < 0 || response.isCanceled ? [] : [.cancel(watchID: response.watchID)]
        }
        if response.isCanceled { return canceled(id, response) }
        return changed(id, response)
    }

    private mutating func created(_ response: Response) -> [Action] {
        guard let watchID = pending else { return [] }
        pending = nil
        let id = byWatchID[watchID]
        if response.isCanceled {
            byWatchID[watchID] = nil
            guard let id else { return createNext() }
            return refused(id, response) + createNext()
        }
        guard let id else { return [.cancel(watchID: watchID)] + createNext() }
        watchers[id]?.phase = .live(watchID: watchID)
        return createNext()
    }

    private mutating func canceled(_ id: WatcherID, _ response: Response) -> [Action] {
        byWatchID[response.watchID] = nil
        if response.compactRevision > Revision(0) { return relist(id) }
        return refused(id, response)
    }

    /// What etcd says to who may not, or is nobody: v3rpc/rpctypes, ErrGRPCPermissionDenied, ErrGRPCUserEmpty and the
    /// errors of authentication.
    private static let refusals = ["permission denied", "user name is empty", "auth"]

    /// The server gave up a watcher, at its creation or later, and said why.
    private mutating func refused(_ id: WatcherID, _ response: Response) -> [Action] {
        if response.compactRevision > Revision(0) { return relist(id) }
        watchers[id]?.phase = .queued
        watchers[id]?.held = []
        guard Self.refusals.contains(where: response.cancelReason.contains) else {
            queue.append(id)
            return [.reconnect(reason: response.cancelReason.isEmpty ? "watch cancelled" : response.cancelReason)]
        }
        watchers[id] = nil
        return [.fail(id, .permissionDenied, reason: response.cancelReason)]
    }

    private mutating func changed(_ id: WatcherID, _ response: Response) -> [Action] {
        guard var watcher = watchers[id] else { return [] }
        watcher.held += response.changes
        defer { watchers[id] = watcher }
        guard !response.isFragment else { return [] }
        let next = watcher.nextRevision
        let events = Self.batches(of: watcher.held.filter { $0.modRevision >= next })
        if watcher.held.isEmpty {
            // A progress report: nothing of this range happened up to here.
            watcher.nextRevision = max(next, response.revision.next)
        } else if case .changes(let last, _) = events.last {
            watcher.nextRevision = last.next
        }
        watcher.held = []
        return events.isEmpty ? [] : [.deliver(id, events)]
    }

    private static func batches(of changes: [WatchChange]) -> [WatchEvent] {
        var events: [WatchEvent] = []
        for change in changes {
            if case .changes(let revision, let earlier) = events.last, revision == change.modRevision {
                events[events.count - 1] = .changes(revision, earlier + [change])
            } else {
                events.append(.changes(change.modRevision, [change]))
            }
        }
        return events
    }

    private mutating func relist(_ id: WatcherID) -> [Action] {
        guard var watcher = watchers[id], watcher.phase != .relisting else { return [] }
        var actions: [Action] = []
        if case .live(let watchID) = watcher.phase, byWatchID.removeValue(forKey: watchID) != nil {
            actions.append(.cancel(watchID: watchID))
        }
        if case .creating(let watchID) = watcher.phase { byWatchID[watchID] = nil }
        queue.removeAll { $0 == id }
        watcher.phase = .relisting
        watcher.held = []
        watchers[id] = watcher
        return actions + [.relist(id, watcher.range)]
    }

    private mutating func createNext() -> [Action] {
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
