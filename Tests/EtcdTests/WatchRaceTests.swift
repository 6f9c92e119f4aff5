// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

/// What comes at a bad moment: an overflow, a list or a refusal beside another.
@Suite struct WatchRaceTests {
    private let range = KeyRange.prefix("/a/")
    private let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
    private let old = "etcdserver: revision of auth store is old"

    private func live(hasTokens: Bool = false) -> (WatchStateMachine, WatchStateMachine.WatcherID) {
        var machine = WatchStateMachine(hasTokens: hasTokens)
        _ = machine.streamOpened()
        let (id, _) = machine.added(range, from: Revision(5))
        _ = machine.received(.init(watchID: 1, revision: Revision(4), isCreated: true))
        return (machine, id)
    }

    private func refusal(_ watchID: Int64, _ reason: String) -> WatchStateMachine.Response {
        .init(watchID: watchID, revision: Revision(9), isCanceled: true, cancelReason: reason)
    }

    private func created(_ watchID: Int64) -> WatchStateMachine.Response {
        .init(watchID: watchID, revision: Revision(4), isCreated: true)
    }

    /// The list clears the queue; parked behind it, the watcher would be deaf for ever.
    @Test func anOverflowWhileAListIsOnItsWayChangesNothing() {
        var (machine, id) = live()
        #expect(machine.historyBroke() == [.cancel(watchID: 1), .relist(id, range)])
        #expect(machine.overflowed(id) == [])
        #expect(machine.drained(id) == [], "no second list beside the first")
        #expect(machine.relisted(id, at: Revision(7)) == [.create(watchID: 2, range, from: Revision(8))])
    }

    /// A message over the limit: nobody knows whose it was, and on the next stream it would come again.
    @Test func whatCannotBeReadIsListedForAllThatAreLive() {
        var (machine, id) = live()
        _ = machine.added(.prefix("/b/"), from: Revision(5))
        #expect(machine.unreadable() == [.cancel(watchID: 1), .relist(id, range)], "the other is not there yet")
        machine.streamClosed()
        #expect(machine.relisted(id, at: Revision(7)) == [])
        #expect(machine.streamOpened() == [.create(watchID: 3, .prefix("/b/"), from: Revision(5))])
        #expect(machine.received(created(3)) == [.create(watchID: 4, range, from: Revision(8))])
    }

    @Test func aListThatNobodyWaitsForIsNotDelivered() {
        let (machine, id) = live()
        #expect(!machine.mayDeliver(id, at: Revision(100), epoch: machine.epoch))
    }

    @Test func whoIsCreatedAndGivenUpAtOnceRestsLongerEachTime() {
        var (machine, id) = live()
        for attempt in 1...4 {
            #expect(machine.received(refusal(Int64(attempt), "odd")) == [.rest(id, attempt: attempt)])
            _ = machine.rested(id)
            _ = machine.received(created(Int64(attempt) + 1))
        }
        _ = machine.received(.init(watchID: 5, revision: Revision(9)))
        #expect(machine.received(refusal(5, "odd")) == [.rest(id, attempt: 1)], "it was told something since")
    }

    /// A member that restarts has no leader at first, and has forgotten its simple tokens.
    @Test(arguments: ["etcdserver: no leader", "odd"]) func anotherRefusalBeforeADenialIsNoDenial(_ reason: String) {
        var (machine, id) = live(hasTokens: true)
        _ = machine.received(refusal(1, reason))
        machine.streamClosed()
        _ = machine.rested(id)
        _ = machine.streamOpened()
        #expect(machine.received(refusal(2, denied)) == [.renewToken, .reconnect(reason: denied)])
    }

    @Test func anOldAuthRevisionIsATokenToRenewAndWithoutTokensNoDenial() {
        var (machine, id) = live()
        #expect(machine.received(refusal(1, old)) == [.rest(id, attempt: 1)])
        var (other, _) = live(hasTokens: true)
        #expect(other.received(refusal(1, old)) == [.renewToken, .reconnect(reason: old)])
    }

    @Test func anUnansweredCreateIsWaitedForAsEventsAre() {
        var machine = WatchStateMachine()
        _ = machine.streamOpened()
        #expect(!machine.isExpecting)
        _ = machine.added(range, from: Revision(5))
        #expect(machine.isExpecting && !machine.isWatching)
    }
}
