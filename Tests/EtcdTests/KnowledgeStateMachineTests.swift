// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct KnowledgeStateMachineTests {
    private let start = ContinuousClock.now

    @Test func tellsStaleOnceAndFreshOnce() {
        var machine = KnowledgeStateMachine()
        #expect(machine.connected(clusterID: 1, revision: Revision(5), now: start).action == .none)
        #expect(machine.failed(now: start + .seconds(10)) == .tellStale)
        #expect(machine.failed(now: start + .seconds(11)) == .none)
        // Stale since we last heard of it, not since we noticed.
        #expect(machine.knowledge.staleSince == start)
        let (action, isBroken) = machine.connected(clusterID: 1, revision: Revision(5), now: start + .seconds(60))
        #expect(action == .tellFresh(after: .seconds(60)))
        #expect(!isBroken)
        #expect(machine.knowledge.staleSince == nil)
        #expect(machine.knowledge.reconnects == 1)
    }

    @Test func saysNothingOfABlip() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(clusterID: 1, revision: Revision(5), now: start)
        machine.disconnected(now: start + .seconds(1))
        #expect(machine.knowledge.staleSince == start)
        #expect(machine.connected(clusterID: 1, revision: Revision(5), now: start + .seconds(2)).action == .none)
        #expect(machine.knowledge.staleSince == nil)
    }

    @Test func anotherClusterBreaksHistory() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(clusterID: 1, revision: Revision(5), now: start)
        #expect(machine.connected(clusterID: 2, revision: Revision(50), now: start).isHistoryBroken)
    }

    @Test func aRevisionThatWentBackBreaksHistory() {
        var machine = KnowledgeStateMachine()
        _ = machine.connected(clusterID: 1, revision: Revision(5), now: start)
        machine.heard(revision: Revision(100), now: start)
        #expect(machine.connected(clusterID: 1, revision: Revision(99), now: start).isHistoryBroken)
        #expect(machine.knowledge.revision == Revision(99))
        #expect(!machine.connected(clusterID: 1, revision: Revision(99), now: start).isHistoryBroken)
    }

    @Test func isStaleFromTheFirstFailureWhenNothingWasEverHeard() {
        var machine = KnowledgeStateMachine()
        #expect(machine.failed(now: start) == .tellStale)
        #expect(machine.knowledge.staleSince == start)
    }
}
