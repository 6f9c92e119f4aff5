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
        #expect(machine.held?.deadline == start + .seconds(9), "etcd counts from the question at the earliest")
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

    @Test func silenceUntilTheDeadlineIsAskedOnceMoreAndThenMeansLost() {
        var machine = held()
        let deadline = start + .seconds(9)
        #expect(machine.verdict(now: start + .milliseconds(8999)) == .good(until: deadline))
        #expect(machine.verdict(now: deadline) == .recheck(lease))
        #expect(machine.recheckFailed(of: lease, now: start + .milliseconds(8999)) == nil, "renewed meanwhile")
        #expect(machine.recheckFailed(of: lease, now: deadline) == lease)
        #expect(machine.held == nil)
        #expect(machine.verdict(now: deadline) == .none)
    }

    /// The recheck takes up to a second behind the deadline: meanwhile keepalives are repeated, and nobody spins.
    @Test func behindTheDeadlineKeepalivesAreStillRepeatedAtTheirPace() {
        var machine = held()
        let late = start + .seconds(10)
        #expect(machine.next(now: late) == .keepAlive(lease))
        #expect(machine.next(now: late) == .wait(until: late + .milliseconds(500)))
    }

    /// After a pause of this process etcd may still have the lease: then nothing is granted and put anew.
    @Test func aLeaseThatTheRecheckFindsAliveIsKept() {
        var machine = held()
        let late = start + .seconds(60)
        #expect(machine.verdict(now: late) == .recheck(lease))
        let asked = late + .seconds(1)
        #expect(machine.rechecked(lease, timeToLive: .seconds(9), askedAt: asked, now: late + .seconds(2)) == nil)
        #expect(machine.verdict(now: late) == .good(until: asked + .seconds(9)))
    }

    /// etcd counts from when it answered, which we know only to be behind the question: read after a sleep, an answer
    /// says nothing of what came since.
    @Test func anAnswerThatWaitedForUsIsNoNewLife() {
        var machine = held()
        let asked = start + .seconds(3)
        #expect(machine.next(now: asked) == .keepAlive(lease))
        #expect(machine.next(now: asked + .milliseconds(500)) == .keepAlive(lease))
        let woken = start + .seconds(60)
        for _ in 0..<2 { #expect(machine.answered(lease, timeToLive: .seconds(9), now: woken) == nil) }
        #expect(machine.held?.deadline == asked + .milliseconds(9500), "of the later question")
        #expect(machine.verdict(now: woken) == .recheck(lease))
    }

    /// Questions of a stream that is gone are never answered.
    @Test func aNewStreamsAnswersAreForItsOwnQuestions() {
        var machine = held()
        #expect(machine.next(now: start + .seconds(3)) == .keepAlive(lease))
        machine.streamOpened(now: start + .seconds(5))
        #expect(machine.answered(lease, timeToLive: .seconds(9), now: start + .seconds(6)) == nil)
        #expect(machine.held?.deadline == start + .seconds(14))
    }

    @Test func whoeverDoesNotAnswerForTwoSecondsIsLeft() {
        var machine = held()
        let asked = start + .seconds(3)
        _ = machine.next(now: asked)
        #expect(!machine.isUnanswered(now: asked + .milliseconds(1999)))
        _ = machine.next(now: asked + .milliseconds(500))
        #expect(machine.isUnanswered(now: asked + .seconds(2)), "counted from the first that went unanswered")
        machine.streamOpened(now: asked + .seconds(2))
        #expect(!machine.isUnanswered(now: asked + .seconds(2)), "the next member has its own time")
        #expect(machine.isUnanswered(now: asked + .seconds(4)), "it is asked at once")
        _ = machine.answered(lease, timeToLive: .seconds(9), now: asked + .seconds(3))
        #expect(!machine.isUnanswered(now: asked + .seconds(5)))
    }

    @Test func anAnswerForAnEarlierLeaseSaysNothing() {
        var machine = held()
        #expect(machine.answered(LeaseID(6), timeToLive: .zero, now: start) == nil)
        #expect(machine.held?.lease == lease)
    }
}
