// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct WatchStateMachineTests {
    private typealias Response = WatchStateMachine.Response
    private typealias Action = WatchStateMachine.Action

    private let redis = KeyRange.prefix("/services/redis/")
    private let postgres = KeyRange.prefix("/services/pg/")

    private func put(_ key: String, at revision: Int64) -> WatchChange {
        .put(
            KeyValue(
                key: Array(key.utf8), value: [1], createRevision: Revision(revision), modRevision: Revision(revision),
                version: 1, lease: nil))
    }

    /// A machine with one live watcher from revision 5 on.
    private func live() -> (WatchStateMachine, WatchStateMachine.WatcherID) {
        var machine = WatchStateMachine()
        let (id, _) = machine.added(redis, from: Revision(5))
        _ = machine.streamOpened()
        _ = machine.received(Response(watchID: 1, revision: Revision(4), isCreated: true))
        return (machine, id)
    }

    @Test func createsOneAtATime() {
        var machine = WatchStateMachine()
        _ = machine.added(redis, from: Revision(5))
        let (_, second) = machine.added(postgres, from: Revision(7))
        #expect(second.isEmpty)
        #expect(machine.streamOpened() == [.create(watchID: 1, redis, from: Revision(5))])
        let next = machine.received(Response(watchID: 1, revision: Revision(9), isCreated: true))
        #expect(next == [.create(watchID: 2, postgres, from: Revision(7))])
    }

    @Test func deliversWholeRevisionsInOrder() {
        var (machine, id) = live()
        let actions = machine.received(
            Response(
                watchID: 1, revision: Revision(6), changes: [put("a", at: 5), put("b", at: 5), put("a", at: 6)]))
        #expect(
            actions == [
                .deliver(
                    id,
                    [
                        .changes(Revision(5), [put("a", at: 5), put("b", at: 5)]),
                        .changes(Revision(6), [put("a", at: 6)]),
                    ])
            ])
    }

    @Test func holdsBackARevisionThatIsSplitOverFragments() {
        var (machine, id) = live()
        let first = machine.received(
            Response(watchID: 1, revision: Revision(5), isFragment: true, changes: [put("a", at: 5)]))
        #expect(first.isEmpty)
        let last = machine.received(Response(watchID: 1, revision: Revision(5), changes: [put("b", at: 5)]))
        #expect(last == [.deliver(id, [.changes(Revision(5), [put("a", at: 5), put("b", at: 5)])])])
    }

    @Test func resumesBeforeAFragmentedRevisionThatWasCutOff() {
        var (machine, _) = live()
        _ = machine.received(Response(watchID: 1, revision: Revision(5), isFragment: true, changes: [put("a", at: 5)]))
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 2, redis, from: Revision(5))])
    }

    @Test func resumesBehindTheLastCompleteRevision() {
        var (machine, _) = live()
        _ = machine.received(Response(watchID: 1, revision: Revision(8), changes: [put("a", at: 8)]))
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 2, redis, from: Revision(9))])
    }

    @Test func aProgressReportMovesTheResumeRevision() {
        var (machine, _) = live()
        #expect(machine.received(Response(watchID: 1, revision: Revision(40))).isEmpty)
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 2, redis, from: Revision(41))])
    }

    @Test func dropsWhatWasDeliveredBefore() {
        var (machine, _) = live()
        _ = machine.received(Response(watchID: 1, revision: Revision(6), changes: [put("a", at: 6)]))
        #expect(machine.received(Response(watchID: 1, revision: Revision(6), changes: [put("a", at: 6)])).isEmpty)
    }

    @Test func compactionMeansListingAnewAndWatchingFromThere() {
        var (machine, id) = live()
        let lost = machine.received(
            Response(watchID: 1, revision: Revision(90), isCanceled: true, compactRevision: Revision(80)))
        #expect(lost == [.relist(id, redis)])
        #expect(machine.relisted(id, at: Revision(95)) == [.create(watchID: 2, redis, from: Revision(96))])
    }

    @Test func compactionFoundWhileDisconnectedIsTheSame() {
        var (machine, id) = live()
        machine.streamClosed()
        _ = machine.streamOpened()
        _ = machine.received(Response(watchID: 2, revision: Revision(90), isCreated: true))
        let lost = machine.received(
            Response(watchID: 2, revision: Revision(90), isCanceled: true, compactRevision: Revision(80)))
        #expect(lost == [.relist(id, redis)])
    }

    @Test func aRefusedCreateFailsItsWatcherAndLetsTheNextOneGo() {
        var machine = WatchStateMachine()
        let (first, _) = machine.added(redis, from: Revision(5))
        _ = machine.added(postgres, from: Revision(5))
        _ = machine.streamOpened()
        let actions = machine.received(
            Response(
                watchID: -1, revision: Revision(9), isCreated: true, isCanceled: true,
                cancelReason: "etcdserver: permission denied"))
        #expect(
            actions == [
                .fail(first, .permissionDenied, reason: "etcdserver: permission denied"),
                .create(watchID: 2, postgres, from: Revision(5)),
            ])
    }

    @Test func aMemberWithoutLeaderIsLeft() {
        var (machine, _) = live()
        let actions = machine.received(
            Response(watchID: 1, revision: Revision(9), isCanceled: true, cancelReason: "etcdserver: no leader"))
        #expect(actions == [.reconnect(reason: "etcdserver: no leader")])
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 2, redis, from: Revision(5))])
    }

    @Test func aWatcherRemovedWhileItIsCreatedIsCancelledOnTheServer() {
        var machine = WatchStateMachine()
        let (id, _) = machine.added(redis, from: Revision(5))
        _ = machine.streamOpened()
        #expect(machine.removed(id).isEmpty)
        let actions = machine.received(Response(watchID: 1, revision: Revision(4), isCreated: true))
        #expect(actions == [.cancel(watchID: 1)])
        #expect(machine.isEmpty)
    }

    @Test func aBrokenHistoryRelistsEveryWatcher() {
        var (machine, id) = live()
        #expect(machine.historyBroke() == [.cancel(watchID: 1), .relist(id, redis)])
        #expect(machine.relisted(id, at: Revision(3)) == [.create(watchID: 2, redis, from: Revision(4))])
    }

    @Test func ignoresProgressForAll() {
        var (machine, _) = live()
        #expect(machine.received(Response(watchID: -1, revision: Revision(40))).isEmpty)
    }
}
