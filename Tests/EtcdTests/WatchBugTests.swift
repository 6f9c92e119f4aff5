// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

@testable import Etcd

/// Bugs of etcd that reach a watch, each as the client sees it. Those that lose events are no watch's to see: an audit
/// finds them.
@Suite struct WatchBugTests {
    private let range = KeyRange.prefix("/a/")

    private func put(_ key: String, _ revision: Int64) -> WatchChange {
        .put(
            KeyValue(
                key: Array(key.utf8), value: [], createRevision: Revision(revision), modRevision: Revision(revision),
                version: 1, lease: nil))
    }

    /// A machine whose one watcher, live as watch 1, was told all up to revision 20.
    private func live() -> (WatchStateMachine, WatchStateMachine.WatcherID) {
        var machine = WatchStateMachine()
        _ = machine.streamOpened()
        let (id, _) = machine.added(range, from: Revision(20))
        _ = machine.received(.init(watchID: 1, revision: Revision(19), isCreated: true))
        _ = machine.received(.init(watchID: 1, revision: Revision(20), changes: [put("/a/1", 20)]))
        return (machine, id)
    }

    /// What the next stream is asked for.
    private func resumed(_ machine: inout WatchStateMachine) -> [WatchStateMachine.Action] {
        machine.streamClosed()
        return machine.streamOpened()
    }

    /// etcd#15220: a report that was asked for goes out before the events that it speaks of.
    @Test(.row("E1")) func aReportForAllThatOvertookEventsHidesNone() {
        var (machine, id) = live()
        #expect(machine.received(.init(watchID: -1, revision: Revision(40))) == [])
        let late = machine.received(.init(watchID: 1, revision: Revision(40), changes: [put("/a/2", 30)]))
        #expect(late == [.deliver(id, [.changes(Revision(30), [put("/a/2", 30)])])])
        #expect(resumed(&machine) == [.create(watchID: 2, range, from: Revision(31))])
    }

    /// etcd#15271: a member that was cut off, and has its data from a snapshot, tells a watch the past again.
    @Test(.row("E2")) func aWatchThatGoesBackInTimeTellsNothingTwice() {
        var (machine, id) = live()
        _ = resumed(&machine)
        _ = machine.received(.init(watchID: 2, revision: Revision(25), isCreated: true))
        let past = machine.received(
            .init(watchID: 2, revision: Revision(25), changes: [put("/a/1", 3), put("/a/2", 12), put("/a/1", 20)]))
        #expect(past == [])
        let mixed = machine.received(
            .init(watchID: 2, revision: Revision(25), changes: [put("/a/1", 20), put("/a/3", 22)]))
        #expect(mixed == [.deliver(id, [.changes(Revision(22), [put("/a/3", 22)])])])
        #expect(resumed(&machine) == [.create(watchID: 3, range, from: Revision(23))], "nor does it resume there")
    }

    /// Fixed in 3.4.24 and 3.5.8, without a number in the changelog's line.
    @Test(.row("E3")) func eventsThatComeTwiceAreToldOnce() {
        var (machine, id) = live()
        let response = WatchStateMachine.Response(
            watchID: 1, revision: Revision(22), changes: [put("/a/1", 21), put("/a/2", 21), put("/a/1", 22)])
        #expect(
            machine.received(response) == [
                .deliver(
                    id,
                    [
                        .changes(Revision(21), [put("/a/1", 21), put("/a/2", 21)]),
                        .changes(Revision(22), [put("/a/1", 22)]),
                    ])
            ])
        #expect(machine.received(response) == [])
    }

    @Test(.row("E3")) func eventsThatComeTwiceInOneResponseAreToldOnce() {
        var (machine, id) = live()
        let again = machine.received(
            .init(
                watchID: 1, revision: Revision(22),
                changes: [put("/a/1", 21), put("/a/2", 21), put("/a/1", 21), put("/a/1", 22), put("/a/2", 21)]))
        #expect(
            again == [
                .deliver(
                    id,
                    [
                        .changes(Revision(21), [put("/a/1", 21), put("/a/2", 21)]),
                        .changes(Revision(22), [put("/a/1", 22)]),
                    ])
            ])
        #expect(resumed(&machine) == [.create(watchID: 2, range, from: Revision(23))])
    }

    /// etcd#20221: a watch that was created on a revision to come is told what is older than it.
    @Test(.row("E7")) func aWatchOnTheNextRevisionIsNotToldOlderOnes() {
        var machine = WatchStateMachine()
        _ = machine.streamOpened()
        let (id, create) = machine.added(range, from: Revision(21), known: Revision(20))
        #expect(create == [.create(watchID: 1, range, from: Revision(21))])
        _ = machine.received(.init(watchID: 1, revision: Revision(20), isCreated: true))
        #expect(machine.received(.init(watchID: 1, revision: Revision(20), changes: [put("/a/1", 20)])) == [])
        let next = machine.received(.init(watchID: 1, revision: Revision(21), changes: [put("/a/1", 21)]))
        #expect(next == [.deliver(id, [.changes(Revision(21), [put("/a/1", 21)])])])
    }

    /// etcd#20418: a member that was paused answers a read from what it knew before.
    @Test(.row("E8")) func aListFromBeforeAPauseIsNotDelivered() {
        var (machine, id) = live()
        let lost = machine.received(
            .init(watchID: 1, revision: Revision(60), isCanceled: true, compactRevision: Revision(50)))
        #expect(lost == [.relist(id, range)])
        #expect(!machine.mayDeliver(id, at: Revision(19), epoch: machine.epoch))
        #expect(machine.mayDeliver(id, at: Revision(60), epoch: machine.epoch))
    }
}
