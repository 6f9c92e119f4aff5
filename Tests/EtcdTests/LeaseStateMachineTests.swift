// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

@Suite struct LeaseStateMachineTests {
    private let start = ContinuousClock.now
    private let lease = LeaseID(7)

    private func held() -> LeaseStateMachine {
        var machine = LeaseStateMachine()
        machine.granted(lease, timeToLive: .seconds(9), now: start)
        return machine
    }

    @Test func asksForAGrantFirst() {
        var machine = LeaseStateMachine()
        #expect(machine.next(now: start) == .grant)
    }

    @Test func keepsAliveAtAThirdOfWhatWasGranted() {
        var machine = held()
        #expect(machine.next(now: start) == .wait(until: start + .seconds(3)))
        #expect(machine.next(now: start + .seconds(3)) == .keepAlive(lease))
    }

    @Test func countsTheNextThirdFromTheReply() {
        var machine = held()
        _ = machine.next(now: start + .seconds(3))
        #expect(machine.answered(lease, timeToLive: .seconds(6), now: start + .seconds(4)) == nil)
        #expect(machine.next(now: start + .seconds(4)) == .wait(until: start + .seconds(6)))
        #expect(machine.held?.deadline == start + .seconds(10))
    }

    @Test func repeatsAnUnansweredKeepalive() {
        var machine = held()
        _ = machine.next(now: start + .seconds(3))
        #expect(machine.next(now: start + .seconds(3)) == .wait(until: start + .milliseconds(3500)))
        #expect(machine.next(now: start + .milliseconds(3500)) == .keepAlive(lease))
    }

    @Test func aTimeToLiveOfZeroMeansLost() {
        var machine = held()
        #expect(machine.answered(lease, timeToLive: .zero, now: start + .seconds(1)) == lease)
        #expect(machine.next(now: start + .seconds(1)) == .grant)
    }

    @Test func silenceUntilTheDeadlineMeansLost() {
        var machine = held()
        #expect(machine.timePassed(now: start + .milliseconds(8999)) == nil)
        #expect(machine.timePassed(now: start + .seconds(9)) == lease)
        #expect(machine.held == nil)
    }

    @Test func anAnswerForAnEarlierLeaseSaysNothing() {
        var machine = held()
        #expect(machine.answered(LeaseID(6), timeToLive: .zero, now: start) == nil)
        #expect(machine.held?.lease == lease)
    }
}
