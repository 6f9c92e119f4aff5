// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport

@testable import Etcd

/// A `WatchStateMachine` and a `ModelServer`, moved by chance, and what the machine's consumers make of what they are told.
struct WatchRun {
    struct Consumer {
        let range: KeyRange
        /// Everything in the range up to here was told.
        var position: Int64
        /// What the last report of progress said, 0 when there was none since a reset.
        var bookmark: Int64 = 0
        var table: [[UInt8]: KeyValue]
        /// Revisions told since the last reset.
        var told: Set<Int64> = []
        var isAway = false
    }

    struct Relist {
        let id: WatchStateMachine.WatcherID
        var answer: (epoch: Int, revision: Int64)?
    }

    var dice: SplitMix
    var server = ModelServer()
    var machine = WatchStateMachine()
    var consumers: [WatchStateMachine.WatcherID: Consumer] = [:]
    var watchIDs: [Int64: WatchStateMachine.WatcherID] = [:]
    var relists: [Relist] = []
    var resting: [WatchStateMachine.WatcherID] = []
    var isOpen = false
    var breaches: [String] = []
    var counted = Counts()

    var counts: Counts {
        var counts = counted
        counts.fragments = server.fragments
        counts.repeats = server.repeats
        return counts
    }

    init(seed: UInt64) { dice = SplitMix(seed: seed) }

    /// In order: a dictionary's own is another in each process, and a seed must repeat what it did.
    private var consumerIDs: [WatchStateMachine.WatcherID] { consumers.keys.sorted { $0.number < $1.number } }

    // MARK: Moves

    mutating func roll(steps: Int) {
        for _ in 0..<steps {
            switch Int.random(in: 0..<100, using: &dice) {
            case 0..<14: server.write(&dice)
            case 14..<40: hear()
            case 40..<65: sendSomething()
            case 65..<72: work()
            case 72..<76: if consumers.count < 5 { add() }
            case 76..<78: remove()
            case 78..<81: disconnect()
            case 81..<88: connect()
            case 88..<90: server.compact(at: Int64.random(in: 0...server.revision, using: &dice))
            case 90..<93: server.reportProgressToAll()
            case 93..<95: server.watchIDs.randomElement(using: &dice).map { server.giveUp($0, because: "odd") }
            case 95: server.watchIDs.randomElement(using: &dice).map { server.giveUp($0, because: "no leader") }
            case 96..<98: leaveOrReturn()
            case 98: if Int.random(in: 0..<4, using: &dice) == 0 { restore() }
            default: break
            }
        }
    }

    /// Everybody does what is still to be done.
    mutating func settle() {
        connect()
        for id in consumerIDs where consumers[id]?.isAway == true {
            consumers[id]?.isAway = false
            perform(machine.drained(id))
        }
        for _ in 0..<200 where !isSettled {
            if !isOpen { connect() }
            for id in server.watchIDs { server.send(to: id, &dice) }
            work(isFresh: true)
            while !server.outbox.isEmpty { hear() }
        }
        if server.hurriedCreates > 0 { breaches.append("a create did not wait for the one before it") }
    }

    /// Whether every consumer's table is the server's.
    var isSettled: Bool {
        server.outbox.isEmpty && relists.isEmpty && resting.isEmpty
            && consumers.values.allSatisfy { $0.table == server.state(of: $0.range, at: server.revision) }
    }

    private mutating func add() {
        let ranges: [KeyRange] = [.prefix("/a/"), .prefix("/b/"), .key("/a/1"), .prefix("")]
        let range = ranges[Int.random(in: 0..<ranges.count, using: &dice)]
        let listed = Int64.random(in: server.compacted...server.revision, using: &dice)
        let (id, actions) = machine.added(range, from: Revision(listed + 1), known: Revision(server.revision))
        consumers[id] = Consumer(range: range, position: listed, table: server.state(of: range, at: listed))
        perform(actions)
    }

    private mutating func remove() {
        guard let id = consumerIDs.randomElement(using: &dice) else { return }
        consumers[id] = nil
        perform(machine.removed(id))
    }

    private mutating func connect() {
        guard !isOpen else { return }
        isOpen = true
        counted.reconnects += 1
        perform(machine.streamOpened())
    }

    mutating func disconnect() {
        guard isOpen else { return }
        isOpen = false
        server.disconnect()
        watchIDs = [:]
        machine.streamClosed()
    }

    private mutating func restore() {
        disconnect()
        server.restore(to: Int64.random(in: 1...server.revision, using: &dice))
        counted.breaks += 1
        perform(machine.historyBroke())
        // What was told of the other history is void.
        for id in consumers.keys {
            consumers[id]?.position = 0
            consumers[id]?.bookmark = 0
        }
    }

    private mutating func sendSomething() {
        guard let id = server.watchIDs.randomElement(using: &dice) else { return }
        server.send(to: id, &dice)
        // etcd reports to watches that have nothing to tell for a while.
        if Int.random(in: 0..<3, using: &dice) == 0 { server.reportProgress(to: id) }
    }

    /// A consumer that does not take what it is told, or takes it again.
    private mutating func leaveOrReturn() {
        guard let id = consumerIDs.randomElement(using: &dice) else { return }
        let isAway = consumers[id]?.isAway ?? false
        consumers[id]?.isAway = !isAway
        perform(isAway ? machine.drained(id) : machine.overflowed(id))
    }

    /// What takes time beside the stream: lists are asked for, answered, delivered; who rests comes back.
    private mutating func work(isFresh: Bool = false) {
        if !resting.isEmpty { perform(machine.rested(resting.removeFirst())) }
        guard !relists.isEmpty else { return }
        var relist = relists.removeFirst()
        guard let consumer = consumers[relist.id] else { return }
        guard let (epoch, revision) = relist.answer else {
            // etcd#20418: it may be older than it should be.
            let oldest = isFresh ? server.revision : max(server.compacted, 1, server.revision - 5)
            relist.answer = (
                machine.epoch, Int64.random(in: min(oldest, server.revision)...server.revision, using: &dice)
            )
            relists.append(relist)
            return
        }
        guard machine.mayDeliver(relist.id, at: Revision(revision), epoch: epoch) else {
            relist.answer = nil
            relists.append(relist)
            return
        }
        if revision < max(consumer.position, consumer.bookmark) {
            breach(.ordered, "a reset at \(revision) behind \(consumer.position)")
        }
        counted.resets += 1
        consumers[relist.id] = Consumer(
            range: consumer.range, position: revision, table: server.state(of: consumer.range, at: revision))
        perform(machine.relisted(relist.id, at: Revision(revision)))
    }

    private mutating func hear() {
        guard let response = server.takeResponse() else { return }
        let id = watchIDs[response.watchID]
        perform(machine.received(response))
        // A report: neither the answer to a create nor an end, and without events.
        guard let id, response.changes.isEmpty, !response.isCreated, !response.isCanceled else { return }
        guard let consumer = consumers[id], watchIDs[response.watchID] == id else { return }
        counted.bookmarks += 1
        let revision = response.revision.rawValue
        if server.hasChanges(in: consumer.range, after: consumer.position, upTo: revision) {
            breach(.bookmarkable, "a report at \(revision), told is \(consumer.position)")
        }
        consumers[id]?.bookmark = max(consumer.bookmark, revision)
    }
}
