// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct WithdrawalTests {
    @Test func drainsThenDeletesThenGivesTheLeaseBack() async throws {
        let harness = try Harness(instances: ["i0", "i1"], drainTime: .milliseconds(150))
        let start = harness.memory.health.revision
        let took = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 2 }
        }
        #expect(took >= .milliseconds(150))
        expectWithin(took, "withdrawal", promise: .milliseconds(1150))
        let history = try await harness.history(.prefix("/services"), from: start + 1)
        #expect(
            history == [
                "there /services-nodes/hostA/p1", "up /services/redis/i0", "up /services/redis/i1",
                "draining /services/redis/i0", "draining /services/redis/i1", "gone /services/redis/i0",
                "gone /services/redis/i1", "gone /services-nodes/hostA/p1",
            ])
        #expect(try await harness.memory.remaining(of: RegistryLease(1)) == nil)
        #expect(harness.log.count(of: "withdrawn") == 2)
    }

    /// Three times the promise, and 2 s at the least: a busy machine is no broken one.
    private func expectWithin(_ took: Duration, _ what: String, promise: Duration) {
        report(took, what, promise: promise)
        #expect(took <= max(promise * 3, .seconds(2)), "\(what)")
    }

    @Test func aWatcherSeesDrainingWithin300Milliseconds() async throws {
        let harness = try Harness(drainTime: .seconds(1))
        let clock = ContinuousClock()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrator.run() }
            try await harness.untilPublished()
            let start = clock.now
            harness.registrator.withdraw()
            harness.registrator.withdraw()
            try await harness.until { record, _ in record.state == .draining }
            let measured = start.duration(to: clock.now)
            expectWithin(measured, "draining after a withdrawal", promise: .milliseconds(300))
            try await group.waitForAll()
            #expect(start.duration(to: clock.now) >= .seconds(1))
        }
    }

    /// One key is contested, so a back-off sleeps: on a clock that never moves.
    @Test func aBackOffDoesNotHoldItUp() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: ["i0", "i1"], drainTime: .seconds(1))
        let foreign = harness.memory.grant(timeToLive: .seconds(3600))
        try await harness.put(node: "hostB", lease: foreign)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrator.run() }
            try await harness.untilPublished("/services/redis/i1")
            await clock.untilSleeping { $0.contains { $0 < .seconds(1) } }
            harness.registrator.withdraw()
            try await harness.until("/services/redis/i1") { record, _ in record.state == .draining }
            #expect(try await harness.record()?.state == .up)
            try await eventually {
                clock.advance(by: .seconds(1))
                return try await harness.entry("/services/redis/i1") == nil
            }
            clock.advance(by: .seconds(1))
            try await group.waitForAll()
            #expect(try await harness.entry()?.lease == foreign)
        }
    }

    /// Upkeep waits for an answer that does not come; what is known suffices to say draining.
    @Test func anUpkeepThatHangsDoesNotHoldItUp() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, drainTime: .seconds(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrator.run() }
            try await harness.untilPublished()
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            harness.store.fail(reads: .silence)
            clock.advance(by: .seconds(30))
            await clock.untilSleeping { !$0.contains { $0 > .seconds(1) } }
            harness.registrator.withdraw()
            try await harness.until { record, _ in record.state == .draining }
            try await eventually {
                clock.advance(by: .seconds(1))
                return try await harness.entry() == nil
            }
            try await group.waitForAll()
        }
    }

    /// What stands in the store may not be known yet to who put it there.
    @Test func aPutWithoutAnAnswerIsTakenBackInOrder() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, drainTime: .milliseconds(100))
        let start = harness.memory.health.revision
        harness.store.fail(puts: .silenceAfterwards)
        try await harness.withdrawing(clock, .milliseconds(100)) {
            try await harness.untilPublished()
            harness.store.fail()
        }
        let history = try await harness.history(.key(Harness.key), from: start + 1)
        #expect(history == ["up \(Harness.key)", "draining \(Harness.key)", "gone \(Harness.key)"])
    }

    @Test(arguments: [Duration.zero, .milliseconds(300)])
    func isBoundedWhenTheStoreDoesNotAnswer(_ drainTime: Duration) async throws {
        let harness = try Harness(drainTime: drainTime)
        let took = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 1 }
            harness.store.fail(reads: .silence, puts: .silence, deletes: .silence)
        }
        expectWithin(took, "withdrawal from a silent store", promise: drainTime + .seconds(1))
        #expect(harness.log.count(of: "could not say draining; the lease's end says that we are gone") == 1)
    }

    @Test func isBoundedWhenTheStoreRefuses() async throws {
        let harness = try Harness(drainTime: .milliseconds(300))
        let took = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 1 }
            harness.store.fail(
                reads: .error(.unavailable), puts: .error(.unavailable), deletes: .error(.unavailable))
        }
        expectWithin(took, "withdrawal from a store that refuses", promise: .milliseconds(1300))
    }

    /// A full store takes no value, but a delete: the key goes by one delete of its own, at once.
    @Test func aFullStoreStillTakesTheDelete() async throws {
        let harness = try Harness(drainTime: .seconds(20))
        let start = harness.memory.health.revision
        let took = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 1 }
            harness.store.fail(puts: .error(.outOfSpace))
        }
        #expect(took < .seconds(5))
        let history = try await harness.history(.prefix("/services"), from: start + 1)
        #expect(
            history == [
                "there \(Harness.presence)", "up \(Harness.key)", "gone \(Harness.key)", "gone \(Harness.presence)",
            ])
    }

    @Test func beforeAnythingWasPublishedItIsImmediate() async throws {
        let harness = try Harness(drainTime: .seconds(20))
        try await harness.put("/services-nodes/hostA/stranger", text: #"{"boot":"boot2"}"#)
        let took = try await harness.withdrawing {
            try await eventually { harness.registrator.statistics().rivals == 1 }
        }
        #expect(took < .seconds(5) && harness.store.commits == 0)
    }

    @Test func withdrawnBeforeItRuns() async throws {
        let harness = try Harness(drainTime: .seconds(20))
        harness.registrator.withdraw()
        try await harness.registrator.run()
        #expect(try await harness.entry() == nil)
        #expect(try await harness.entry(Harness.presence) == nil)
    }

    /// A key that somebody changed by hand in our last seconds must not stay for ever, pointing at nobody.
    @Test func aKeyChangedByHandGoesToo() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, drainTime: .milliseconds(100))
        let start = harness.memory.health.revision
        try await harness.withdrawing(clock, .milliseconds(100)) {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 1 }
            try await harness.put(node: nil)
        }
        let history = try await harness.history(.key(Harness.key), from: start + 1)
        #expect(
            history == [
                "up \(Harness.key)", "up \(Harness.key)", "draining \(Harness.key)", "gone \(Harness.key)",
            ])
    }

    /// Nothing is written, and whoever comes next goes on with what stands: nobody sees that there was an end.
    @Test func whatIsKeptStandsForTheNextProcess() async throws {
        let first = try Harness { $0.onExit = .keep }
        let start = first.memory.health.revision
        _ = try await first.withdrawing {
            try await first.untilPublished()
            try await eventually { first.log.count(of: "registered") == 1 }
        }
        #expect(first.log.count(of: "left to the lease") == 1 && first.log.count(of: "withdrawn") == 0)
        let kept = try #require(try await first.entry())
        let former = try #require(kept.lease)
        let left = try #require(try await first.memory.remaining(of: former))
        #expect(left > .seconds(5) && left <= .seconds(10), "it ends by itself")
        let second = try Harness(memory: first.memory, identity: Fixture.identity(process: "p2"))
        try await second.running {
            let entry = try await second.until { $1.lease != former }
            first.memory.revoke(former)
            #expect(try await second.entry() == entry)
            let history = try await first.history(.key(Harness.key), from: start + 1)
            #expect(history == ["up \(Harness.key)", "up \(Harness.key)"])
        }
    }

    @Test func beforeAnythingWasPublishedThereIsNothingToKeep() async throws {
        let harness = try Harness(grants: false) { $0.onExit = .keep }
        let took = try await harness.withdrawing {}
        #expect(took < .seconds(5) && harness.log.count(of: "left to the lease") == 0)
    }

    @Test func cancellationRevokesWithoutDraining() async throws {
        let harness = try Harness(drainTime: .seconds(20))
        let start = harness.memory.health.revision
        try await harness.running { try await harness.untilPublished() }
        let history = try await harness.history(.key(Harness.key), from: start + 1)
        #expect(history == ["up \(Harness.key)", "gone \(Harness.key)"])
    }
}
