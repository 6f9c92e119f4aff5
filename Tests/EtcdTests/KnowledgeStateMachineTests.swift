// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct KnowledgeStateMachineTests {
    private let start = ContinuousClock.now

    private func status(_ cluster: UInt64, _ revision: Int64, term: UInt64 = 2, leader: UInt64 = 1) -> MemberStatus {
        MemberStatus(
            clusterID: cluster, memberID: 1, version: "3.4.23", leader: leader, isLearner: false,
            revision: Revision(revision), term: term, databaseBytes: 0, errors: [])
    }

    @Test func tellsStaleOnceAndFreshOnce() {
        var machine = KnowledgeStateMachine()
        #expect(machine.connected(status(1, 5), now: start).action == .none)
        #expect(machine.failed(now: start + .seconds(10)) == .tellStale)
        #expect(machine.failed(now: start + .seconds(11)) == .none)
        // Stale since we last heard of it, not since we noticed.
        #expect(machine.knowledge.staleSince == start)
        let (action, isBroken) = machine.connected(status(1, 5), now: start + .seconds(60))
        #expect(action == .tellFresh(after: .seconds(60)))
        #expect(!isBroken)
        #expect(machine.knowledge.staleSince == nil)
        #expect(machine.knowledge.reconnects == 1)
    }

    @Test func saysNothingOfABlip() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(status(1, 5), now: start)
        machine.disconnected(now: start + .seconds(1))
        #expect(machine.knowledge.staleSince == start)
        #expect(machine.connected(status(1, 5), now: start + .seconds(2)).action == .none)
        #expect(machine.knowledge.staleSince == nil)
    }

    @Test func anotherClusterBreaksHistory() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(status(1, 5), now: start)
        #expect(machine.connected(status(2, 50), now: start).isHistoryBroken)
    }

    @Test func aRevisionThatWentBackBreaksHistory() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(status(1, 5), now: start)
        machine.heard(revision: Revision(100), now: start)
        #expect(machine.connected(status(1, 99), now: start).isHistoryBroken)
        #expect(machine.knowledge.revision == Revision(99))
        #expect(!machine.connected(status(1, 99), now: start).isHistoryBroken)
    }

    /// A restored cluster begins its elections anew; by then others may have written past the revision that we know.
    @Test func aTermThatWentBackBreaksHistory() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(status(1, 5, term: 7), now: start)
        #expect(!machine.isOlder(status(1, 50, term: 7)))
        #expect(machine.isOlder(status(1, 50, term: 2)))
        #expect(machine.connected(status(1, 50, term: 2), now: start).isHistoryBroken)
        #expect(machine.knowledge.resyncs == 1)
        #expect(!machine.connected(status(1, 50, term: 2), now: start).isHistoryBroken)
    }

    @Test func aMemberThatLagsIsOlderAndAnotherClusterIsNot() {
        var machine = KnowledgeStateMachine()
        #expect(!machine.isOlder(status(1, 1)), "nothing is known before the first")
        _ = machine.connected(status(1, 5), now: start)
        #expect(machine.isOlder(status(1, 4)) && !machine.isOlder(status(1, 5)))
        #expect(!machine.isOlder(status(2, 1)), "waiting does not make it ours")
    }

    /// The only member answers, from what it knows: that is no fresh knowledge.
    @Test func aMemberWithoutALeaderIsStaleUntilItHasOne() {
        var machine = KnowledgeStateMachine()
        #expect(machine.connected(status(1, 5, leader: 0), now: start).action == .tellStale)
        #expect(machine.asked(hasLeader: false, now: start + .seconds(1)) == .none)
        #expect(machine.knowledge.staleSince == start)
        #expect(machine.asked(hasLeader: true, now: start + .seconds(3)) == .tellFresh(after: .seconds(3)))
        #expect(machine.knowledge.staleSince == nil && machine.knowledge.reconnects == 0)
        #expect(machine.asked(hasLeader: true, now: start + .seconds(4)) == .none)
    }

    @Test func isStaleFromTheFirstFailureWhenNothingWasEverHeard() {
        var machine = KnowledgeStateMachine()
        #expect(machine.failed(now: start) == .tellStale)
        #expect(machine.knowledge.staleSince == start)
    }
}
