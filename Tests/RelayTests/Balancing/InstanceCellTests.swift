// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Synchronization
import Testing

@testable import Relay

/// Who is taken out of use, for how long, and how it comes back.
@Suite struct InstanceCellTests {
    private static let second: UInt64 = 1_000_000_000
    private let limits = EjectionPolicy.Limits(EjectionPolicy())
    private let ledger = InstanceLedger()
    private let id = InstanceID(slot: 3, generation: 1)

    private func fail(_ times: Int = 1, at now: UInt64, mayLeave: Bool = true) -> UInt64? {
        var until: UInt64?
        for _ in 0..<times { until = ledger.cells[id].pointee.failed(now: now, limits) { _ in mayLeave } ?? until }
        return until
    }

    private var outUntil: UInt64 { ledger.cells[id].pointee.outUntil }

    private func takeReturn(at now: UInt64) -> Bool { ledger.cells[id].pointee.takeReturn(now: now) }

    private func share(at now: UInt64) -> Double { ledger.cells[id].pointee.share(now: now, limits) }

    @Test func threeFailuresInARowAreTooMany() {
        let now = 100 * Self.second
        #expect(fail(2, at: now) == nil)
        ledger.cells[id].pointee.proved()
        #expect(fail(2, at: now) == nil, "a success in between")
        #expect(fail(at: now) == now + 5 * Self.second)
    }

    @Test func eachTimeInARowLastsFiveSecondsLongerUpToFiveMinutes() {
        var now = 100 * Self.second
        for count in 1...70 {
            let until = fail(3, at: now)
            #expect(until == now + UInt64(min(5 * count, 300)) * Self.second, "\(count)")
            now = until ?? now
        }
        // Back for five minutes without a fault of that kind: forgiven.
        now += 300 * Self.second
        #expect(fail(3, at: now) == now + 5 * Self.second)
    }

    @Test func whatFailsWhileItIsOutChangesNothing() throws {
        let now = 100 * Self.second
        let until = try #require(fail(3, at: now))
        #expect(fail(9, at: now + Self.second) == nil)
        #expect(outUntil == until)
        #expect(fail(2, at: until) == nil, "it comes back with a clean sheet")
        #expect(fail(at: until) != nil)
    }

    @Test func oneThatCannotBeSparedStaysAndLeavesOnceItCan() {
        let now = 100 * Self.second
        #expect(fail(5, at: now, mayLeave: false) == nil)
        #expect(fail(at: now) != nil)
    }

    /// As when another worker has taken another instance out of use in the same moment.
    @Test func oneThatCannotBeSparedOnceItHasLeftIsBackAtOnce() {
        let now = 100 * Self.second
        let first = fail(3, at: now) ?? 0
        let later = first + Self.second
        for _ in 0..<3 {
            #expect(ledger.cells[id].pointee.failed(now: later, limits) { more in more == 1 } == nil)
        }
        #expect(outUntil == first)
        #expect(takeReturn(at: later), "of its only ejection")
        #expect(fail(at: later) == later + 10 * Self.second, "it has failed often enough for the second one")
    }

    /// Two instances, two workers, a failure too many on each in the same moment: a service of two keeps one.
    @Test func workersThatJudgeAtTheSameTimeLeaveHalfOfAService() async {
        let now = 100 * Self.second
        for round in 1...2_000 {
            let pair = (0..<2).map { InstanceID(slot: UInt32(10 + 2 * round + $0), generation: 1) }
            let (ledger, limits) = (ledger, limits)
            let isOut: @Sendable (InstanceID) -> Bool = { ledger.cells[$0].pointee.outUntilInOrder > now }
            await withTaskGroup(of: Void.self) { group in
                for one in pair {
                    group.addTask {
                        for _ in 0..<3 {
                            _ = ledger.cells[one].pointee.failed(now: now, limits) { more in
                                (more + pair.count(where: isOut)) * 2 <= pair.count
                            }
                        }
                    }
                }
            }
            #expect(pair.count(where: isOut) <= 1)
        }
    }

    @Test func itsReturnIsToldOnce() {
        let now = 100 * Self.second
        #expect(!takeReturn(at: now), "it was never out")
        let until = fail(3, at: now) ?? 0
        #expect(!takeReturn(at: until - 1))
        #expect(takeReturn(at: until))
        #expect(!takeReturn(at: until))
    }

    @Test func itsShareGrowsFromATenthToAllInTenSeconds() {
        #expect(share(at: 1) == 1)
        let until = fail(3, at: 100 * Self.second) ?? 0
        let shares = [0, 1, 5, 9, 10].map { share(at: until + $0 * Self.second) }
        #expect(shares == [0.1, 0.1, 0.5, 0.9, 1])
    }

    @Test func aNewTenantOfTheSlotHasNoPast() {
        ledger.addReference(id)
        _ = fail(3, at: 100 * Self.second)
        ledger.removeReference(id)
        let next = InstanceID(slot: 3, generation: 2)
        ledger.addReference(next)
        #expect(outUntil == 0, "of the slot")
        #expect(fail(2, at: 100 * Self.second) == nil)
        // Another table with the same tenant forgets nothing.
        ledger.addReference(next)
        #expect(fail(at: 100 * Self.second) != nil)
    }

    /// Three failures are three whatever the number of workers, and one of them tells.
    @Test func manyWorkersTakeItOutOnce() async {
        for _ in 0..<50 {
            let ledger = InstanceLedger()
            let told = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<4 {
                    group.addTask { [id, limits] in
                        (0..<3).count { _ in
                            ledger.cells[id].pointee.failed(now: 100 * Self.second, limits) { _ in true } != nil
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(told == 1)
        }
    }

    @Test func nothingIsTakenOutWhereNothingIsToBe() {
        let never = EjectionPolicy.Limits(EjectionPolicy(failures: nil))
        let told = (0..<1000).compactMap { _ in ledger.cells[id].pointee.failed(now: 1, never) { _ in true } }
        #expect(told.isEmpty)
    }
}
