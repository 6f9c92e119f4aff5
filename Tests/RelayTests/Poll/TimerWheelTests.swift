// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

@Suite struct TimerWheelTests {
    private let tick = TimerWheel.tickNanoseconds

    @Test func timersFireInTheirTickAndNotBefore() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 4)
        wheel.arm(1, at: 3 * tick)
        wheel.arm(2, at: 3 * tick - 1)
        wheel.arm(3, at: 3 * tick + 1)
        #expect(wheel.popDue(now: 3 * tick - 1) == nil)
        #expect(Set([wheel.popDue(now: 3 * tick), wheel.popDue(now: 3 * tick)]) == [1, 2])
        #expect(wheel.popDue(now: 3 * tick) == nil)
        #expect(wheel.nextDeadline == 4 * tick)
        #expect(wheel.popDue(now: 4 * tick) == 3)
        #expect(wheel.armedCount == 0)
        #expect(wheel.nextDeadline == nil)
    }

    @Test func cancelledTimersDoNotFire() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 8)
        for slot in UInt32(0)..<8 { wheel.arm(slot, at: 5 * tick) }
        for slot in [UInt32(0), 3, 7, 3] { wheel.cancel(slot) }
        var fired: Set<UInt32> = []
        while let slot = wheel.popDue(now: 100 * tick) { fired.insert(slot) }
        #expect(fired == [1, 2, 4, 5, 6])
    }

    @Test func armingAgainReplacesTheTimer() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 1)
        wheel.arm(0, at: 2 * tick)
        wheel.arm(0, at: 9 * tick)
        #expect(wheel.popDue(now: 8 * tick) == nil)
        #expect(wheel.popDue(now: 9 * tick) == 0)
        #expect(wheel.popDue(now: 9_000 * tick) == nil)
    }

    @Test func deadlineInThePastFiresAtOnce() {
        var wheel = TimerWheel(now: 1_000 * tick)
        wheel.grow(to: 1)
        #expect(wheel.popDue(now: 2_000 * tick) == nil)
        wheel.arm(0, at: 5)
        #expect(wheel.popDue(now: 2_000 * tick) == 0)
    }

    @Test func deadlineBeyondOneRevolutionWaitsForItsOwn() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 2)
        wheel.arm(0, at: 1_030 * tick)
        wheel.arm(1, at: 6 * tick)
        #expect(wheel.popDue(now: 6 * tick) == 1)
        #expect(wheel.popDue(now: 1_029 * tick) == nil)
        #expect(wheel.popDue(now: 1_030 * tick) == 0)
    }

    /// Whoever waits for a later revolution must not keep the worker awake while its bucket is the present one.
    @Test func whatIsDueInALaterRevolutionIsLookedAtOnceATick() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 2_000)
        for slot in UInt32(0)..<2_000 { wheel.arm(slot, at: (5_000 + UInt64(slot)) * tick) }
        var (now, looks) = (UInt64(0), 0)
        while now < 2_048 * tick, let next = wheel.nextDeadline {
            #expect(next > now || now == 0)
            now = max(next, now)
            #expect(wheel.popDue(now: now) == nil)
            looks += 1
        }
        // Two revolutions of 1,024 buckets, all of which hold somebody.
        #expect((2_000...2_049).contains(looks), "\(looks)")
    }

    @Test func whatHasPassedWhenItIsArmedFiresInTheNextTick() {
        var wheel = TimerWheel(now: 0)
        wheel.grow(to: 2)
        wheel.arm(1, at: 9_000 * tick)
        #expect(wheel.popDue(now: 70 * tick + 1) == nil)
        wheel.arm(0, at: 70 * tick)
        #expect(wheel.nextDeadline == 71 * tick)
        #expect(wheel.popDue(now: 71 * tick) == 0)
    }

    /// Each bucket in turn, seen from each place in a word of the occupied ones.
    @Test func nextDeadlineIsFoundWhereverItIs() {
        for start in UInt64(0)..<130 {
            for distance in [UInt64(0), 1, 62, 63, 64, 65, 500, 959, 960, 961, 1_022, 1_023] {
                var wheel = TimerWheel(now: start * tick)
                wheel.grow(to: 1)
                wheel.arm(0, at: (start + distance) * tick)
                #expect(wheel.nextDeadline == max(1, start + distance) * tick, "\(start) + \(distance)")
            }
        }
    }

    @Test(arguments: UInt64(1)...20)
    func agreesWithASortedList(seed: UInt64) {
        var random = QuickRandom(seed: seed)
        var wheel = TimerWheel(now: 0)
        var expected: [UInt32: UInt64] = [:]
        var (now, capacity) = (UInt64(0), 0)
        for _ in 0..<2_000 {
            let slot = UInt32.random(in: 0..<64, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0, 1:
                capacity = max(capacity, Int(slot) + 1)
                wheel.grow(to: capacity)
                let deadline = now + .random(in: 0...15_000_000_000, using: &random)
                wheel.arm(slot, at: deadline)
                expected[slot] = deadline
            case 2 where Int(slot) < capacity:
                wheel.cancel(slot)
                expected[slot] = nil
            default:
                now += .random(in: 0...300_000_000, using: &random)
                while let fired = wheel.popDue(now: now) {
                    let deadline = expected.removeValue(forKey: fired)
                    #expect((deadline ?? .max) <= now)
                }
                // At most a tick late.
                #expect(expected.values.allSatisfy { $0 + tick > now })
                #expect(wheel.nextDeadline ?? .max > now, "the worker would not sleep, seed \(seed)")
            }
            #expect(wheel.armedCount == expected.count)
            // Never too late for the first of them: exact within a revolution, which others may shorten.
            let earliest = expected.values.min().map { ($0 + tick - 1) / tick * tick }
            #expect((wheel.nextDeadline == nil) == (earliest == nil))
            #expect(wheel.nextDeadline ?? 0 <= max(earliest ?? 0, now / tick * tick), "seed \(seed)")
        }
    }
}
