// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport

@testable import Etcd

/// The watch side of etcd as its documents allow it to be, with the known bugs that clients must survive: histories of
/// transactions, watches that lag, responses in fragments, compaction. Pure; a test moves it by hand.
struct ModelServer {
    private struct Watch {
        let range: KeyRange
        /// The first revision that has not been sent.
        var next: Int64
    }

    /// What each revision changed, all keys.
    private var history: [Int64: [WatchChange]] = [:]
    /// What stood at each revision, all keys.
    private var states: [Int64: [[UInt8]: KeyValue]] = [1: [:]]
    private(set) var revision: Int64 = 1
    /// Revisions up to it are forgotten.
    private(set) var compacted: Int64 = 0
    private var watches: [Int64: Watch] = [:]
    /// What is on its way to the client, on the stream of the moment.
    private(set) var outbox: [WatchStateMachine.Response] = []
    /// Creates that came before the answer to the one before had been taken.
    private(set) var hurriedCreates = 0
    private(set) var fragments = 0
    private(set) var repeats = 0

    static let keys = ["/a/1", "/a/2", "/a/3", "/b/1", "/b/2", "/c"].map { Array($0.utf8) }

    // MARK: What the history says

    func changes(in range: KeyRange, at revision: Int64) -> [WatchChange] {
        (history[revision] ?? []).filter { range.contains($0.key) }
    }

    func hasChanges(in range: KeyRange, after: Int64, upTo: Int64) -> Bool {
        after < upTo && ((after + 1)...upTo).contains { !changes(in: range, at: $0).isEmpty }
    }

    func state(of range: KeyRange, at revision: Int64) -> [[UInt8]: KeyValue] {
        (states[revision] ?? [:]).filter { range.contains($0.key) }
    }

    // MARK: What happens to it

    /// One transaction over some keys, each at most once.
    mutating func write(_ dice: inout SplitMix) {
        revision += 1
        let now = Revision(revision)
        let keys = Self.keys.shuffled(using: &dice).prefix(Int.random(in: 1...4, using: &dice))
        history[revision] = keys.map { key in
            if Bool.random(using: &dice) { return .delete(key: key, now) }
            let value = [UInt8.random(in: 0...255, using: &dice)]
            return .put(KeyValue(key: key, value: value, createRevision: now, modRevision: now, version: 1, lease: nil))
        }
        var state = states[revision - 1] ?? [:]
        for change in history[revision] ?? [] { state.apply(change) }
        states[revision] = state
    }

    /// Watches that have not been sent what is forgotten are given up.
    mutating func compact(at point: Int64) {
        guard point > compacted else { return }
        compacted = point
        for (id, watch) in watches.sorted(by: { $0.key < $1.key }) where watch.next <= compacted { giveUp(id) }
    }

    /// An older snapshot takes the place of what was; nobody is connected.
    mutating func restore(to point: Int64) {
        history = history.filter { $0.key <= point }
        states = states.filter { $0.key <= point }
        revision = point
        compacted = min(compacted, point)
    }

    mutating func disconnect() {
        watches = [:]
        outbox = []
    }

    // MARK: What the client asks

    mutating func create(_ id: Int64, _ range: KeyRange, from start: Int64, goingBack: Int64) {
        if outbox.contains(where: \.isCreated) { hurriedCreates += 1 }
        outbox.append(.init(watchID: id, revision: Revision(revision), isCreated: true))
        // etcd#15271, etcd#20221: it may begin with what is older than asked for.
        let from = max(start - goingBack, compacted + 1, 1)
        if from < start { repeats += 1 }
        watches[id] = Watch(range: range, next: start <= compacted ? start : min(from, start))
        if start <= compacted { giveUp(id) }
    }

    mutating func cancel(_ id: Int64) {
        guard watches.removeValue(forKey: id) != nil else { return }
        outbox.append(.init(watchID: id, revision: Revision(revision), isCanceled: true))
    }

    // MARK: What it says

    var watchIDs: [Int64] { watches.keys.sorted() }

    /// The next few revisions of a watch in one response, whole ones, perhaps in fragments that end anywhere.
    mutating func send(to id: Int64, _ dice: inout SplitMix) {
        guard let watch = watches[id], watch.next <= revision else { return }
        let last = Int64.random(in: watch.next...revision, using: &dice)
        var events = (watch.next...last).flatMap { changes(in: watch.range, at: $0) }
        watches[id]?.next = last + 1
        guard !events.isEmpty else { return }
        if Int.random(in: 0..<10, using: &dice) == 0 {
            // The same, within one response: some event, or everything up to it, comes again behind it.
            let end = Int.random(in: 1...events.count, using: &dice)
            let again = events[Int.random(in: 0..<end, using: &dice)..<end]
            events.insert(contentsOf: again, at: end)
            repeats += 1
        }
        var pieces: [[WatchChange]] = [[]]
        for event in events {
            if pieces[pieces.count - 1].count > 0, Int.random(in: 0..<3, using: &dice) == 0 { pieces.append([]) }
            pieces[pieces.count - 1].append(event)
        }
        fragments += pieces.count - 1
        for (index, piece) in pieces.enumerated() {
            outbox.append(
                .init(
                    watchID: id, revision: Revision(revision), isFragment: index < pieces.count - 1, changes: piece))
        }
        if Int.random(in: 0..<10, using: &dice) == 0 {
            // Simple duplicates (3.4.24).
            repeats += 1
            outbox.append(.init(watchID: id, revision: Revision(revision), changes: events))
        }
    }

    /// A report to one watch that has everything.
    mutating func reportProgress(to id: Int64) {
        guard let watch = watches[id], watch.next > revision else { return }
        outbox.append(.init(watchID: id, revision: Revision(revision)))
    }

    /// One to all, which may overtake events (etcd#15220).
    mutating func reportProgressToAll() { outbox.append(.init(watchID: -1, revision: Revision(revision))) }

    mutating func giveUp(_ id: Int64, because reason: String) {
        guard watches.removeValue(forKey: id) != nil else { return }
        outbox.append(.init(watchID: id, revision: Revision(revision), isCanceled: true, cancelReason: reason))
    }

    private mutating func giveUp(_ id: Int64) {
        watches[id] = nil
        outbox.append(
            .init(
                watchID: id, revision: Revision(revision), isCanceled: true, compactRevision: Revision(compacted)))
    }

    mutating func takeResponse() -> WatchStateMachine.Response? { outbox.isEmpty ? nil : outbox.removeFirst() }
}

extension KeyRange {
    func contains(_ key: [UInt8]) -> Bool {
        if end.isEmpty { return key == start }
        return !key.lexicographicallyPrecedes(start) && (end == [0] || key.lexicographicallyPrecedes(end))
    }
}

extension [[UInt8]: KeyValue] {
    mutating func apply(_ change: WatchChange) {
        switch change {
        case .put(let keyValue): self[keyValue.key] = keyValue
        case .delete(let key, _): self[key] = nil
        }
    }
}
