// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Etcd

/// What the machine wants, and what its consumers find wrong with it.
extension WatchRun {
    struct Counts {
        var changes = 0
        var resets = 0
        var reconnects = 0
        var fragments = 0
        var repeats = 0
        var bookmarks = 0
        var breaks = 0

        mutating func add(_ other: Counts) {
            changes += other.changes
            resets += other.resets
            reconnects += other.reconnects
            fragments += other.fragments
            repeats += other.repeats
            bookmarks += other.bookmarks
            breaks += other.breaks
        }
    }

    mutating func perform(_ actions: [WatchStateMachine.Action]) {
        for action in actions {
            switch action {
            case .create(let watchID, let range, let from): create(watchID, range, from.rawValue)
            case .cancel(let watchID):
                watchIDs[watchID] = nil
                server.cancel(watchID)
            case .deliver(let id, let events): for event in events { take(event, id) }
            case .relist(let id, _): relists.append(Relist(id: id))
            case .rest(let id, _): resting.append(id)
            case .reconnect: disconnect()
            case .fail(_, let code, let reason): breaches.append("failed: \(code) \(reason)")
            case .renewToken: breaches.append("a new token is asked for")
            }
        }
    }

    private mutating func create(_ watchID: Int64, _ range: KeyRange, _ from: Int64) {
        let isBackwards = Int.random(in: 0..<5, using: &dice) == 0
        server.create(watchID, range, from: from, goingBack: isBackwards ? Int64.random(in: 1...6, using: &dice) : 0)
        guard let id = machine.byWatchID[watchID], let consumer = consumers[id] else { return }
        watchIDs[watchID] = id
        let expected = max(consumer.position, consumer.bookmark) + 1
        if from != expected { breach(.resumable, "created from \(from), not \(expected)") }
    }

    private mutating func take(_ event: WatchEvent, _ id: WatchStateMachine.WatcherID) {
        guard var consumer = consumers[id], case .changes(let at, let changes) = event else {
            breaches.append("delivered to nobody, or not as changes")
            return
        }
        let revision = at.rawValue
        counted.changes += changes.count
        if consumer.told.contains(revision) { breach(.unique, "\(revision) came before") }
        if revision <= consumer.position { breach(.ordered, "\(revision) behind \(consumer.position)") }
        if server.hasChanges(in: consumer.range, after: consumer.position, upTo: revision - 1) {
            breach(.reliable, "nothing between \(consumer.position) and \(revision)")
        }
        let whole = server.changes(in: consumer.range, at: revision)
        if Set(changes) != Set(whole) || changes.count != whole.count {
            breach(.atomic, "\(changes.count) of \(whole.count) events of \(revision)")
        }
        for change in changes { consumer.table.apply(change) }
        consumer.position = revision
        consumer.told.insert(revision)
        consumers[id] = consumer
    }

    mutating func breach(_ guarantee: WatchPropertyTests.Guarantee, _ what: String) {
        breaches.append("\(guarantee.rawValue): \(what)")
    }
}
