// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// docs/promises.md, "When an instance leaves", rule by rule.
@Suite struct LeavingTests {
    // MARK: Rule 1

    @Test func aDrainingInstanceLeavesAtOnceEvenAsTheLast() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.put("1", TableHarness.value(TableHarness.endpoint(1), state: .draining))
        #expect(harness.used == [])
        #expect(harness.names(.draining) == ["1"])
        harness.delete("1")
        #expect(harness.probes.isEmpty && harness.leaseQuestions.isEmpty)
        #expect(harness.table.report(now: harness.now).instances.isEmpty)
    }

    @Test func drainedInstancesDoNotCountAsGone() throws {
        var harness = try TableHarness()
        harness.putUp(4)
        for name in ["1", "2"] {
            harness.put(name, TableHarness.value(TableHarness.endpoint(Int(name) ?? 0), state: .draining))
        }
        harness.delete("1", "2")
        harness.passSilently(.seconds(3))
        harness.expire(3)
        harness.answer()
        #expect(harness.used == [4], "one of four by rule 3")
        #expect(harness.names(.held) == [])
    }

    // MARK: Rule 2

    @Test(arguments: [1, 2, 5])
    func aLoneDeleteOfAKeyWithoutLeaseIsMeant(_ count: Int) throws {
        var harness = try TableHarness()
        for number in 1...count { harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number))) }
        harness.delete("1")
        #expect(harness.probes.isEmpty && harness.leaseQuestions.isEmpty)
        #expect(harness.used == Array(2..<(count + 1)))
    }

    @Test func aLoneDeleteUnderALivingLeaseIsMeant() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.delete("1")
        #expect(harness.leaseQuestions.map(\.lease) == [RegistryLease(1)])
        #expect(harness.used == [1], "in use until the answer")
        #expect(harness.names(.leaving) == ["1"])
        #expect(harness.table.nextDeadline == harness.now + .seconds(1))
        harness.answer()
        #expect(harness.used == [], "the last one, and at once")
        #expect(harness.probes.isEmpty)
    }

    @Test func anAnswerThatComesTooLateIsNone() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.delete("1")
        let asked = try #require(harness.leaseQuestions.first)
        harness.passSilently(.seconds(1))
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(1)], "rule 3: the last")
        harness.act(harness.table.leaseAnswered(asked.question, isAlive: true, now: harness.now))
        #expect(harness.used == [1])
        harness.answer()
        #expect(harness.names(.held) == ["1"])
    }

    @Test func theSecondDeleteWithinTwoSecondsIsNotMeant() throws {
        var harness = try TableHarness()
        for number in 1...2 {
            harness.accepting.insert(TableHarness.endpoint(number))
            harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number)))
        }
        harness.delete("1")
        #expect(harness.used == [2], "nothing waits for the future")
        harness.pass(.seconds(1))
        harness.delete("2")
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(2)])
        harness.answer()
        #expect(harness.used == [2])
        #expect(harness.names(.held) == ["2"])
    }

    @Test func aDeleteTwoSecondsAfterAnotherIsMeantAgain() throws {
        var harness = try TableHarness()
        for number in 1...2 { harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number))) }
        harness.delete("1")
        harness.pass(.seconds(2))
        harness.delete("2")
        #expect(harness.used == [])
        #expect(harness.probes.isEmpty)
    }

    @Test func twoDeletesInOneRevisionAreNotMeant() throws {
        var harness = try TableHarness()
        for number in 1...2 {
            harness.accepting.insert(TableHarness.endpoint(number))
            harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number)))
        }
        harness.delete("1", "2")
        #expect(harness.used == [1, 2])
        harness.answer()
        #expect(harness.names(.held) == ["1", "2"])
    }

    @Test func aKeyThatReturnsWhileItsLeaseIsInQuestionStays() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        let before = harness.id(of: 1)
        harness.delete("1")
        let asked = try #require(harness.leaseQuestions.first)
        harness.put("1", TableHarness.value(TableHarness.endpoint(1)), lease: RegistryLease(2))
        harness.act(harness.table.leaseAnswered(asked.question, isAlive: true, now: harness.now))
        #expect(harness.id(of: 1) == before)
        #expect(harness.names(.up) == ["1"])
    }

    // MARK: Rule 3

    @Test func fewerThanHalfLeaveAtOnce() throws {
        var harness = try TableHarness()
        harness.putUp(5)
        harness.delete("1", "2")
        #expect(harness.used == [3, 4, 5])
        #expect(harness.probes.isEmpty)
    }

    @Test func halfAtOnceAreProbedAndUsedUntilTheAnswer() throws {
        var harness = try TableHarness()
        harness.putUp(4)
        harness.accepting.remove(TableHarness.endpoint(2))
        harness.delete("1", "2")
        #expect(harness.used == [1, 2, 3, 4])
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(1), TableHarness.endpoint(2)])
        harness.answer()
        #expect(harness.used == [1, 3, 4])
        #expect(harness.names(.held) == ["1"])
        #expect(
            harness.notices == [
                .held(key: TableHarness.key("1"), TableHarness.endpoint(1), until: .seconds(60))
            ])
    }

    /// What a host's death looks like when its registrators expire one after the other, and nothing else is wrong.
    @Test func tenRegistratorsThatExpireOneSecondApartEndWithTenHeld() throws {
        var harness = try TableHarness()
        harness.putUp(10)
        harness.pass(.seconds(100))
        var fewest = 10
        for number in 1...10 {
            harness.expire(number)
            fewest = min(fewest, harness.used.count)
            harness.answer()
            fewest = min(fewest, harness.used.count)
            harness.pass(.seconds(1))
        }
        #expect(fewest == 6, "four of ten are fewer than half")
        #expect(harness.used == Array(1...10))
        let everyName = Set((1...10).map { "\($0)" })
        #expect(Set(harness.names(.held)) == everyName)
        // Their leases ended at 100...109 s: each is dropped 60 s later.
        harness.pass(.seconds(160) - harness.now)
        #expect(harness.used == Array(2...10))
        harness.pass(.seconds(9))
        #expect(harness.used == [])
        #expect(harness.notices.count { if case .holdEnded(_, _, .expired) = $0 { true } else { false } } == 10)
    }

    @Test func thoseThatLeftBeforeComeBackWithTheirIDs() throws {
        var harness = try TableHarness()
        harness.putUp(4)
        let id = harness.id(of: 1)
        harness.pass(.seconds(10))
        harness.expire(1)
        harness.answer()
        #expect(harness.used == [2, 3, 4], "one of four")
        harness.pass(.seconds(10))
        harness.expire(2)
        #expect(harness.used == [2, 3, 4], "2 is in use while its lease is in question")
        harness.answer()
        #expect(harness.used == [1, 2, 3, 4], "two of four")
        #expect(harness.id(of: 1) == id)
    }

    @Test func theLargestSetOfTheLastMinuteCounts() throws {
        var harness = try TableHarness()
        harness.putUp(6)
        for number in 1...3 {
            harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number), state: .draining))
        }
        harness.pass(.seconds(30))
        harness.delete("4", "1")
        #expect(harness.used == [5, 6], "one of six, although it is one of three by now")
        harness.pass(.seconds(40))
        harness.delete("5", "2")
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(4), TableHarness.endpoint(5)], "two of three")
    }

    @Test func theLastInstanceIsProbedHoweverLargeTheSetWas() throws {
        var harness = try TableHarness()
        harness.putUp(10)
        for number in 1...9 {
            harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number), state: .draining))
        }
        harness.expire(10)
        harness.answer()
        #expect(harness.names(.held) == ["10"])
    }

    @Test func aHeldInstanceIsProbedEveryFiveSecondsAndDroppedAtTheFirstRefusal() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.expire(1)
        harness.answer()
        harness.passSilently(.milliseconds(4800))
        #expect(harness.probes.isEmpty)
        harness.passSilently(.milliseconds(200))
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(1)])
        harness.answer()
        harness.pass(.seconds(19))
        #expect(harness.used == [1])
        harness.accepting = []
        harness.passSilently(.seconds(1))
        #expect(harness.used == [1], "used until the answer")
        harness.answer()
        #expect(harness.used == [])
        #expect(harness.notices.last == .holdEnded(key: TableHarness.key("1"), TableHarness.endpoint(1), .refused))
    }

    @Test func aHoldEndsAfterItsTime() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.expire(1)
        harness.answer()
        harness.pass(.milliseconds(59_999))
        #expect(harness.used == [1])
        harness.pass(.milliseconds(1))
        #expect(harness.used == [])
        #expect(harness.notices.last == .holdEnded(key: TableHarness.key("1"), TableHarness.endpoint(1), .expired))
        #expect(harness.table.nextDeadline == nil)
    }

    @Test func aProbeWithoutAnswerDoesNotOutliveTheHold() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.reset()
        harness.delete("1", "2")
        #expect(harness.used == [1])
        harness.passSilently(.seconds(60))
        #expect(harness.used == [])
    }

    @Test func noHoldMeansNoQuestions() throws {
        var harness = try TableHarness(hold: .zero)
        harness.putUp(3)
        harness.expire(1)
        harness.delete("2", "3")
        #expect(harness.used == [])
        #expect(harness.probes.isEmpty && harness.leaseQuestions.isEmpty)
    }

    @Test func aKeyThatReturnsDuringItsHoldIsTheSameInstance() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        let id = harness.id(of: 1)
        harness.expire(1)
        harness.answer()
        harness.pass(.seconds(10))
        harness.put("1", TableHarness.value(TableHarness.endpoint(1)), lease: RegistryLease(9))
        #expect(harness.id(of: 1) == id)
        #expect(harness.names(.up) == ["1"] && harness.names(.held) == [])
        #expect(harness.notices.last == .holdEnded(key: TableHarness.key("1"), TableHarness.endpoint(1), .returned))
        harness.pass(.seconds(300))
        #expect(harness.used == [1])
    }

    @Test func aKeyThatReturnsElsewhereEndsTheHold() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        let id = harness.id(of: 1)
        harness.expire(1)
        harness.answer()
        harness.put("1", TableHarness.value(TableHarness.endpoint(7)))
        #expect(harness.used == [7])
        #expect(harness.id(of: 7) != id)
        #expect(harness.notices.last == .holdEnded(key: TableHarness.key("1"), TableHarness.endpoint(1), .replaced))
    }

    @Test func aKeyThatReturnsDrainingEndsTheHold() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.expire(1)
        harness.answer()
        harness.put("1", TableHarness.value(TableHarness.endpoint(1), state: .draining))
        #expect(harness.used == [])
    }

    @Test func anotherKeyWithTheEndpointEndsTheHold() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        let id = harness.id(of: 1)
        harness.expire(1)
        harness.answer()
        harness.put("other", TableHarness.value(TableHarness.endpoint(1)))
        #expect(harness.id(of: 1) == id)
        #expect(harness.names(.held) == [] && harness.names(.up) == ["other"])
    }

    @Test func theReturnedDoNotCountAsGone() throws {
        var harness = try TableHarness()
        harness.putUp(4)
        harness.delete("1", "x")
        #expect(harness.used == [2, 3, 4])
        harness.put("1", TableHarness.value(TableHarness.endpoint(1)))
        harness.delete("2", "x")
        #expect(harness.used == [1, 3, 4], "one of four, not two")
    }

    /// Backends that live are never cut down to less than half of what there was, whatever their registrators do.
    @Test(arguments: [UInt64](1...20))
    func halfOfTheLargestSetIsAlwaysInUse(_ seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var harness = try TableHarness()
        harness.accepting = Set((1...12).map(TableHarness.endpoint))
        var up: Set<Int> = []
        var sizes: [(at: Duration, size: Int)] = []
        for _ in 0..<500 {
            let number = Int.random(in: 1...12, using: &random)
            if Int.random(in: 0...2, using: &random) == 0 {
                harness.put("\(number)", TableHarness.value(TableHarness.endpoint(number)), lease: RegistryLease(1))
                up.insert(number)
            } else {
                // Also two at once; no lease is known any more, so that none of it is meant.
                let gone = Set([number, Int.random(in: 1...12, using: &random)]).intersection(up)
                if !gone.isEmpty { harness.delete(gone.map(String.init)) }
                up.subtract(gone)
            }
            #expect(up.isSubset(of: harness.used))
            harness.answer()
            sizes.append((harness.now, up.count))
            let largest = sizes.filter { $0.at > harness.now - .seconds(60) }.map(\.size).max() ?? 0
            #expect(harness.used.count * 2 >= largest && (largest == 0 || !harness.used.isEmpty))
            harness.pass(.milliseconds(Int64.random(in: 0...9000, using: &random)))
        }
        harness.pass(.seconds(61))
        #expect(Set(harness.used) == up)
    }

    // MARK: Rule 4

    @Test func holdsDoNotExpireWhileNothingCanBeLearned() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.expire(1)
        harness.answer()
        harness.pass(.seconds(120), isStale: true)
        #expect(harness.used == [1])
        harness.pass(.seconds(6))
        #expect(harness.used == [])
    }

    @Test func aValueThatBecomesBadKeepsTheLastValidOne() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        for bad in ["{", #"{"host":"127.0.0.1","port":1}"#, #"{"host":"10.0.0.9","port":0}"#, #"{"v":2}"#] {
            harness.put("1", Array(bad.utf8), lease: RegistryLease(1))
            #expect(harness.used == [1])
        }
        #expect(harness.table.report(now: harness.now).skipped.map(\.reason) == [.version])
        harness.delete("1")
        harness.answer()
        #expect(harness.used == [])
    }
}
