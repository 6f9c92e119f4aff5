// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

/// Watchers that the server gives up, and consumers that do not keep up.
@Suite struct WatchRefusalTests {
    private typealias Action = WatchStateMachine.Action
    private let range = KeyRange.prefix("/a/")
    private let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"

    /// A machine with one watcher that is live as watch 1.
    private func live(hasTokens: Bool = false) -> (WatchStateMachine, WatchStateMachine.WatcherID) {
        var machine = WatchStateMachine(hasTokens: hasTokens)
        _ = machine.streamOpened()
        let (id, actions) = machine.added(range, from: Revision(5))
        #expect(actions == [.create(watchID: 1, range, from: Revision(5))])
        #expect(machine.received(.init(watchID: 1, revision: Revision(4), isCreated: true)) == [])
        return (machine, id)
    }

    private func refusal(_ watchID: Int64, _ reason: String) -> WatchStateMachine.Response {
        .init(watchID: watchID, revision: Revision(9), isCanceled: true, cancelReason: reason)
    }

    private func refusedCreate(_ reason: String) -> WatchStateMachine.Response {
        .init(watchID: -1, revision: Revision(9), isCreated: true, isCanceled: true, cancelReason: reason)
    }

    @Test func withoutTokensADenialIsFinal() {
        var (machine, id) = live()
        #expect(machine.received(refusal(1, denied)) == [.fail(id, .permissionDenied, reason: denied)])
        #expect(machine.isEmpty)
    }

    /// etcd 3.4 says "permission denied" to an expired token, too.
    @Test func withTokensTheFirstDenialAsksForANewOneAndTheSecondIsFinal() {
        var (machine, id) = live(hasTokens: true)
        #expect(machine.received(refusal(1, denied)) == [.renewToken, .reconnect(reason: denied)])
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 2, range, from: Revision(5))])
        #expect(machine.received(refusedCreate(denied)) == [.fail(id, .permissionDenied, reason: denied)])
    }

    @Test func aWatcherThatWasLiveSinceHasAnotherToken() {
        var (machine, _) = live(hasTokens: true)
        for stream in Int64(1)...3 {
            #expect(machine.received(refusal(stream, denied)) == [.renewToken, .reconnect(reason: denied)])
            machine.streamClosed()
            _ = machine.streamOpened()
            _ = machine.received(.init(watchID: stream + 1, revision: Revision(4), isCreated: true))
        }
    }

    @Test func anUnknownReasonRestsThatWatcherAloneLongerEachTime() {
        var (machine, id) = live()
        let (other, _) = machine.added(.prefix("/b/"), from: Revision(5))
        _ = machine.received(.init(watchID: 2, revision: Revision(4), isCreated: true))
        #expect(machine.received(refusal(1, "odd")) == [.rest(id, attempt: 1)])
        #expect(machine.rested(id) == [.create(watchID: 3, range, from: Revision(5))])
        #expect(machine.received(refusedCreate("odd")) == [.rest(id, attempt: 2)])
        let change = WatchChange.delete(key: [1], Revision(6))
        #expect(
            machine.received(.init(watchID: 2, revision: Revision(6), changes: [change]))
                == [.deliver(other, [.changes(Revision(6), [change])])])
        machine.streamClosed()
        #expect(machine.streamOpened() == [.create(watchID: 4, .prefix("/b/"), from: Revision(7))], "it rests on")
    }

    @Test func noLeaderLeavesTheMember() {
        var (machine, _) = live()
        let reason = "etcdserver: no leader"
        #expect(machine.received(refusal(1, reason)) == [.reconnect(reason: reason)])
    }

    @Test func aConsumerThatDoesNotKeepUpIsTakenFromTheServerUntilItIsBack() {
        var (machine, id) = live()
        #expect(machine.overflowed(id) == [.cancel(watchID: 1)])
        machine.streamClosed()
        #expect(machine.streamOpened() == [])
        #expect(machine.drained(id) == [.relist(id, range)])
        #expect(machine.drained(id) == [], "asked for already")
        #expect(machine.relisted(id, at: Revision(20)) == [.create(watchID: 2, range, from: Revision(21))])
    }

    /// etcd#20418: a member that was paused answers a read with an older state.
    @Test func aListOlderThanWhatWasDeliveredIsNotDelivered() {
        var (machine, id) = live()
        let change = WatchChange.delete(key: [1], Revision(30))
        _ = machine.received(.init(watchID: 1, revision: Revision(30), changes: [change]))
        _ = machine.overflowed(id)
        _ = machine.drained(id)
        #expect(!machine.mayDeliver(id, at: Revision(29), epoch: machine.epoch))
        #expect(machine.mayDeliver(id, at: Revision(30), epoch: machine.epoch))
    }

    @Test func afterHistoryBrokeAnOlderListCountsAndOneFromBeforeDoesNot() {
        var (machine, id) = live()
        let before = machine.epoch
        #expect(machine.historyBroke() == [.cancel(watchID: 1), .relist(id, range)])
        #expect(!machine.mayDeliver(id, at: Revision(100), epoch: before))
        #expect(machine.mayDeliver(id, at: Revision(2), epoch: machine.epoch))
    }

    /// A watch on a revision to come is accepted, and silent until it is reached: for ever, when history went back.
    @Test func aWatchFromARevisionToComeBeginsWithAListing() {
        var machine = WatchStateMachine()
        _ = machine.streamOpened()
        let (next, actions) = machine.added(range, from: Revision(11), known: Revision(10))
        #expect(actions == [.create(watchID: 1, range, from: Revision(11))])
        let (future, listed) = machine.added(range, from: Revision(12), known: Revision(10))
        #expect(listed == [.relist(future, range)])
        #expect(next != future)
    }
}
