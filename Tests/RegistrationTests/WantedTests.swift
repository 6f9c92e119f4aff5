// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import ServiceModel
import Testing

/// What becomes of keys when what is wanted changes.
@Suite struct WantedTests {
    private let key = Harness.key
    private let first: Registration
    private let second: Registration

    init() throws {
        first = try Fixture.registration()
        second = try Fixture.registration(at: "10.77.0.1:7000")
    }

    /// With the first registration standing.
    private func bench(_ state: InstanceRecord.State = .up) -> PlannerBench {
        var bench = PlannerBench()
        bench.want([Wanted(first, state)])
        bench.pass()
        _ = bench.takeHistory()
        return bench
    }

    @Test func whatIsNewIsPut() {
        var bench = PlannerBench()
        bench.pass()
        bench.want([Wanted(first)])
        #expect(bench.pass() == [.registered(first, key: key)])
        #expect(bench.takeHistory() == ["up 10.77.0.1:6379"])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
    }

    /// Labels are anybody's word: nothing that they say may end the process.
    @Test func ofTwoUnderOneKeyTheFirstCounts() {
        var bench = PlannerBench()
        bench.want([Wanted(first), Wanted(second)])
        #expect(bench.pass() == [.registered(first, key: key)])
        bench.want([Wanted(second), Wanted(first, .draining)])
        #expect(bench.pass() == [.moved(second, key: key, from: first.endpoint)])
        #expect(bench.pass().isEmpty && bench.planner.keys.count == 2)
    }

    // MARK: What is tentative

    /// A former process's, under a lease that still lives.
    private func left(_ bench: inout PlannerBench, _ registration: Registration, node: String = "hostA") {
        let lease = RegistryLease(77)
        bench.livingLeases.insert(lease)
        let record = registration.record(node: node, zone: nil, state: .up, since: "then")
        let write = RegistryWrite(key: key, condition: .none, operation: .put(record.encoded(), lease: lease))
        _ = bench.commit([write])
        _ = bench.takeHistory()
    }

    @Test func whatIsTentativeIsTakenOverWhereItStandsAndNotPutAnew() {
        var bench = PlannerBench()
        bench.want([Wanted(first, isTentative: true)])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
        left(&bench, second)
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty && !bench.isContested, "it says another address")
        left(&bench, first)
        #expect(bench.pass() == [.registered(first, key: key)])
        #expect(bench.takeHistory() == ["up 10.77.0.1:6379"] && bench.entries[key]?.lease == bench.lease)
        bench.want([Wanted(first)])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
    }

    /// It is ours then like everything else.
    @Test func whatWasTentativeIsPutAgainAndTakenBack() {
        var bench = PlannerBench()
        left(&bench, first)
        bench.want([Wanted(first, isTentative: true)])
        bench.pass()
        bench.loseLease()
        bench.grant()
        bench.pass()
        #expect(bench.takeHistory() == ["up 10.77.0.1:6379", "up 10.77.0.1:6379"])
        bench.want([])
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        bench.pass()
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379", "gone"])
    }

    /// What we have published ourselves, and is not fit any more, is no former process's.
    @Test func whatIsTentativeRaisesNobody() {
        var bench = bench()
        bench.want([])
        bench.pass()
        for wanted in [Wanted(first, isTentative: true), Wanted(second, isTentative: true)] {
            bench.want([wanted])
            bench.pass()
        }
        bench.elapsed += PlannerBench.drainTime
        bench.pass()
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379", "gone"])
        bench.want([Wanted(second)])
        bench.pass()
        #expect(bench.takeHistory() == ["up 10.77.0.1:7000"])
    }

    // MARK: What is wanted

    @Test func whatIsDrainingFromTheBeginningIsPutSo() {
        var bench = PlannerBench()
        bench.want([Wanted(first, .draining)])
        #expect(bench.pass() == [.registered(first, key: key), .draining(first, key: key)])
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379"])
        bench.elapsed += .seconds(100)
        #expect(bench.pass().isEmpty && bench.planner.deadline == nil)
    }

    @Test func anotherAddressIsOneRewriteOfTheSameKey() {
        var bench = bench()
        bench.elapsed += .seconds(100)
        bench.want([Wanted(second)])
        #expect(bench.pass() == [.moved(second, key: key, from: first.endpoint)])
        #expect(bench.takeHistory() == ["up 10.77.0.1:7000"])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
        bench.want([Wanted(first)])
        bench.pass()
        #expect(bench.record()?.since == "t0")
    }

    @Test func otherFieldsAreOneRewriteToo() throws {
        var bench = bench()
        let heavier = try Fixture.registration(fields: ["weight=200"])
        bench.want([Wanted(heavier)])
        #expect(bench.pass().isEmpty)
        #expect(bench.takeHistory().count == 1 && bench.record()?.weight == 200)
    }

    @Test func aStateIsRewrittenAndToldOnce() {
        var bench = bench()
        bench.want([Wanted(first, .draining)])
        #expect(bench.pass() == [.draining(first, key: key)])
        bench.elapsed += .seconds(100)
        #expect(bench.pass().isEmpty)
        bench.want([Wanted(first)])
        #expect(bench.pass() == [.upAgain(first, key: key)])
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379", "up 10.77.0.1:6379"])
    }

    @Test func whatIsNoLongerWantedDrainsFirst() {
        var bench = bench()
        bench.want([])
        #expect(bench.pass() == [.draining(first, key: key)])
        #expect(bench.planner.deadline == PlannerBench.drainTime)
        bench.elapsed = PlannerBench.drainTime - .nanoseconds(1)
        #expect(bench.pass().isEmpty)
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379"])
        bench.elapsed = PlannerBench.drainTime
        let revision = bench.entries[key]?.modRevision ?? 0
        #expect(bench.pass() == [.withdrawn(first, key: key)])
        #expect(bench.taken == [.delete(key, modRevision: revision)])
        #expect(bench.planner.keys == [Harness.presence] && bench.planner.deadline == nil)
        #expect(bench.planner.hasPublished && !bench.planner.mayStand)
    }

    /// Nothing is said twice; but what is being restarted may be back at once, however long it took to stop.
    @Test func whatDrainedBeforeIsDeletedTheDrainTimeAfterItIsUnwanted() {
        var bench = bench(.draining)
        bench.elapsed = .seconds(5)
        bench.want([])
        #expect(bench.pass().isEmpty)
        #expect(bench.planner.deadline == .seconds(5) + PlannerBench.drainTime)
        bench.elapsed += PlannerBench.drainTime - .nanoseconds(1)
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
        bench.elapsed += .nanoseconds(1)
        #expect(bench.pass() == [.withdrawn(first, key: key)] && bench.takeHistory() == ["gone"])
    }

    @Test func wantedAgainIsUpByOneWrite() {
        var bench = bench()
        bench.want([])
        bench.pass()
        bench.want([Wanted(second)])
        #expect(bench.pass() == [.moved(second, key: key, from: first.endpoint), .upAgain(second, key: key)])
        bench.elapsed += .seconds(100)
        #expect(bench.pass().isEmpty)
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379", "up 10.77.0.1:7000"])
        #expect(bench.record()?.since == "t0")
    }

    /// What was to get another address leaves under the one that readers know.
    @Test func drainsUnderTheAddressThatStands() {
        var bench = bench()
        bench.want([Wanted(second)])
        bench.want([])
        bench.pass()
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379"])
    }

    @Test func whatWasNeverTriedIsForgotten() {
        var bench = PlannerBench()
        bench.want([Wanted(first)])
        bench.want([])
        #expect(bench.planner.keys == [Harness.presence])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty)
    }

    @Test func aLostLeaseBringsBackOnlyWhatIsWanted() throws {
        let other = try Fixture.registration(instance: "i1")
        var bench = PlannerBench()
        bench.want([Wanted(first), Wanted(other)])
        bench.pass()
        bench.want([Wanted(other)])
        bench.pass()
        bench.loseLease()
        _ = bench.takeHistory()
        bench.grant()
        #expect(bench.pass() == [.registered(other, key: "/services/redis/i1")])
        #expect(bench.instances == ["/services/redis/i1": "10.77.0.1:6379 up"] && bench.planner.keys.count == 2)
    }

    @Test(arguments: [("hostA", true), ("hostB", true)])
    func whatOthersHaveTakenOverIsLeftToThem(_ node: String, _ isAlive: Bool) throws {
        var bench = bench()
        var record = try #require(bench.record())
        record.node = node
        let other = RegistryLease(77)
        bench.livingLeases.insert(other)
        let put = RegistryWrite.Operation.put(record.encoded(), lease: other)
        _ = bench.commit([RegistryWrite(key: key, condition: .none, operation: put)])
        _ = bench.takeHistory()
        bench.want([])
        #expect(bench.pass().isEmpty && bench.takeHistory().isEmpty && !bench.isContested)
        #expect(bench.planner.keys == [Harness.presence] && bench.entries[key]?.lease == other)
    }

    /// By hand, without a lease: it would point at nobody for ever.
    @Test func aLeavingKeyThatWasChangedByHandGoesToo() throws {
        var bench = bench()
        bench.want([])
        let record = try #require(bench.record())
        let put = RegistryWrite.Operation.put(record.encoded(), lease: nil)
        _ = bench.commit([RegistryWrite(key: key, condition: .none, operation: put)])
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        bench.pass()
        #expect(bench.instances.isEmpty)
    }

    @Test func onlyLeavingOnesGoWithoutAWord() throws {
        let other = try Fixture.registration(instance: "i1")
        var bench = PlannerBench()
        bench.want([Wanted(first), Wanted(other)])
        bench.pass()
        bench.want([Wanted(other)])
        #expect(bench.planner.removals(wantedToo: false).map(\.key) == [key])
        #expect(bench.planner.removals().map(\.key) == [key, "/services/redis/i1"])
    }

    @Test func nothingIsWantedOnceItWithdraws() throws {
        var bench = bench()
        bench.planner.withdrawalBegan()
        bench.want([Wanted(second)])
        #expect(bench.planner.drain(now: .init(.zero, "t0")).count == 1)
        bench.pass()
        bench.elapsed += .seconds(100)
        bench.pass()
        // The delete is the withdrawal's own affair.
        #expect(bench.takeHistory() == ["draining 10.77.0.1:6379"])
    }
}

/// Writes whose answers are lost.
@Suite struct UnansweredWriteTests {
    private let key = Harness.key
    private let first: Registration
    private let second: Registration

    init() throws {
        first = try Fixture.registration()
        second = try Fixture.registration(at: "10.77.0.1:7000")
    }

    @Test func aPutThatNobodyAnsweredIsTakenBack() {
        var bench = PlannerBench()
        bench.pass()
        bench.want([Wanted(first)])
        bench.pass(.unanswered)
        bench.want([])
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        bench.pass()
        #expect(bench.takeHistory() == ["up 10.77.0.1:6379", "draining 10.77.0.1:6379", "gone"])
        #expect(bench.planner.keys == [Harness.presence])
    }

    /// It may come late: no key of ours stays that we have forgotten.
    @Test func aPutThatMayStillHappenIsWaitedFor() throws {
        var bench = PlannerBench()
        bench.pass()
        bench.want([Wanted(first)])
        let late = bench.planner.plan(standing: [key: .init(nil)], now: .init(.zero, "t0")).writes
        bench.want([])
        bench.pass()
        let deadline = try #require(bench.planner.deadline)
        bench.elapsed = deadline - .milliseconds(1)
        bench.pass()
        #expect(bench.planner.keys.contains(key))
        _ = bench.commit(late)
        bench.elapsed = deadline
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        bench.pass()
        #expect(bench.instances.isEmpty && bench.planner.keys == [Harness.presence])
    }

    @Test func aPutThatDidNotHappenIsForgottenInTime() throws {
        var bench = PlannerBench()
        bench.pass()
        bench.want([Wanted(first)])
        bench.pass(.lost)
        bench.want([])
        bench.pass()
        bench.elapsed = try #require(bench.planner.deadline)
        #expect(bench.pass().isEmpty && bench.planner.keys == [Harness.presence])
    }

    @Test func aChangeOfOurOwnIsNobodyElses() {
        var bench = PlannerBench()
        bench.want([Wanted(first)])
        bench.pass()
        bench.want([Wanted(second)])
        bench.pass(.unanswered)
        bench.want([Wanted(first)])
        #expect(bench.pass().isEmpty)
        #expect(bench.instances == [key: "10.77.0.1:6379 up"])
    }

    @Test(arguments: [PlannerBench.Fault.lost, .unanswered])
    func aDeleteIsTriedUntilItIsKnown(_ fault: PlannerBench.Fault) {
        var bench = PlannerBench()
        bench.want([Wanted(first)])
        bench.pass()
        bench.want([])
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        #expect(bench.pass(fault).isEmpty)
        #expect(bench.pass() == [.withdrawn(first, key: key)] || fault == .unanswered)
        bench.elapsed += .seconds(60)
        bench.pass()
        #expect(bench.instances.isEmpty && bench.planner.keys == [Harness.presence])
    }

    @Test func wantedAgainAfterADeleteThatNobodyAnswered() {
        var bench = PlannerBench()
        bench.want([Wanted(first)])
        bench.pass()
        bench.want([])
        bench.pass()
        bench.elapsed += PlannerBench.drainTime
        bench.pass(.unanswered)
        bench.want([Wanted(first)])
        let notices = bench.pass()
        #expect(!notices.contains(.changed(key: key)))
        #expect(bench.instances == [key: "10.77.0.1:6379 up"])
    }
}
