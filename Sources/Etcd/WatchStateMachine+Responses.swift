// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

// MARK: What the server says

extension WatchStateMachine {
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
        watchers[id]?.denials = 0
        return createNext()
    }

    private mutating func canceled(_ id: WatcherID, _ response: Response) -> [Action] {
        byWatchID[response.watchID] = nil
        if response.compactRevision > Revision(0) { return relist(id) }
        return refused(id, response)
    }

    /// What etcd says to who may not, or is nobody: v3rpc/rpctypes, ErrGRPCPermissionDenied, ErrGRPCUserEmpty and the
    /// errors of authentication.
    private static let denials = ["permission denied", "user name is empty", "auth"]
    /// ErrGRPCAuthOldRevision: users or roles have just changed. A certificate has nothing to renew then, and is taken
    /// at the next try.
    private static let oldAuthRevision = "revision of auth store is old"

    /// The server gave up a watcher, at its creation or later, and said why.
    private mutating func refused(_ id: WatcherID, _ response: Response) -> [Action] {
        if response.compactRevision > Revision(0) { return relist(id) }
        watchers[id]?.held = []
        let reason = response.cancelReason
        if reason.contains("no leader") {
            requeue(id)
            return [.reconnect(reason: reason)]
        }
        let isDenial = Self.denials.contains(where: reason.contains)
        guard isDenial, hasTokens || !reason.contains(Self.oldAuthRevision) else { return rest(id) }
        let denials = (watchers[id]?.denials ?? 0) + 1
        watchers[id]?.denials = denials
        // A token is shown when a stream is opened; once is enough to tell its end from a denial.
        if hasTokens, denials == 1 {
            requeue(id)
            return [.renewToken, .reconnect(reason: reason)]
        }
        watchers[id] = nil
        return [.fail(id, .permissionDenied, reason: reason)]
    }

    /// Only what a watcher tells ends the row of refusals: one that is created and given up at once would otherwise be
    /// tried again and again after the shortest wait.
    private mutating func rest(_ id: WatcherID) -> [Action] {
        let refusals = (watchers[id]?.refusals ?? 0) + 1
        watchers[id]?.refusals = refusals
        watchers[id]?.phase = .resting
        return [.rest(id, attempt: refusals)]
    }

    private mutating func requeue(_ id: WatcherID) {
        watchers[id]?.phase = .queued
        queue.append(id)
    }

    private mutating func changed(_ id: WatcherID, _ response: Response) -> [Action] {
        guard var watcher = watchers[id] else { return [] }
        watcher.held += response.changes
        defer { watchers[id] = watcher }
        guard !response.isFragment else { return [] }
        watcher.refusals = 0
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

    /// One array a revision: the end of a lease may be ten thousand changes at once. What a response tells twice
    /// (3.4.23 and before) is taken once: a revision changes a key only once, and comes before all later ones.
    private static func batches(of changes: [WatchChange]) -> [WatchEvent] {
        var events: [WatchEvent] = []
        var batch: [WatchChange] = []
        var keys: Set<[UInt8]> = []
        for change in changes {
            if let last = batch.last?.modRevision, last != change.modRevision {
                guard last < change.modRevision else { continue }
                events.append(.changes(last, batch))
                batch = []
                keys = []
            }
            if keys.insert(change.key).inserted { batch.append(change) }
        }
        if let last = batch.last { events.append(.changes(last.modRevision, batch)) }
        return events
    }
}
