// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Registration
import Registry
import TestSupport
import Testing

/// What a watcher sees when what is wanted changes. The clock stands still but where it says so.
@Suite(.timeLimit(.minutes(1))) struct PublishingTests {
    private static let drainTime = Duration.seconds(2)
    private let clock = ManualClock()

    private func harness(_ instances: [String] = ["i0"]) throws -> Harness {
        try Harness(clock: clock, instances: instances, drainTime: Self.drainTime)
    }

    /// Nothing is under way, and nothing will be until the next upkeep.
    private func idle() async { await clock.untilSleeping { $0.contains(.seconds(30)) } }

    private func history(_ harness: Harness) async throws -> [String] {
        try await harness.history(.prefix("/services/"), from: 1)
    }

    @Test func whatComesLaterIsPublishedAtOnce() async throws {
        let harness = try harness([])
        try await harness.running {
            await idle()
            #expect(try await harness.entry(Harness.presence) != nil)
            harness.registrator.publish([Wanted(try Fixture.registration())])
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 1 }
        }
    }

    @Test func anotherAddressIsWrittenUnderTheSameKey() async throws {
        let harness = try harness()
        try await harness.running {
            let before = try await harness.untilPublished()
            await idle()
            harness.registrator.publish([Wanted(try Fixture.registration(at: "10.77.0.1:7000"))])
            let after = try await harness.until { record, _ in record.port == 7000 }
            #expect(after.lease == before.lease)
            try await eventually { harness.log.count(of: "address changed") == 1 }
            let line = try #require(harness.log.lines("address changed").first)
            #expect(line.level == .info && line.text("from") == "10.77.0.1:6379" && line.text("to") == "10.77.0.1:7000")
            #expect(try await history(harness) == ["up \(Harness.key)", "up \(Harness.key)"])
            #expect(harness.log.count(of: "registered") == 1)
        }
    }

    @Test func aStateIsToldToReadersAndInTheLog() async throws {
        let harness = try harness()
        try await harness.running {
            try await harness.untilPublished()
            harness.registrator.publish([Wanted(try Fixture.registration(), .draining)])
            try await harness.until { record, _ in record.state == .draining }
            harness.registrator.publish([Wanted(try Fixture.registration())])
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "up again") == 1 }
            #expect(harness.log.count(of: "draining") == 1)
        }
    }

    @Test func whatIsNoLongerWantedDrainsAndGoesWhenItsTimeIsOver() async throws {
        let harness = try harness(["i0", "i1"])
        try await harness.running {
            try await harness.untilPublished()
            await idle()
            harness.registrator.publish([Wanted(try Fixture.registration(instance: "i1"))])
            try await harness.until { record, _ in record.state == .draining }
            await clock.untilSleeping { $0.contains(Self.drainTime) }
            clock.advance(by: Self.drainTime - .milliseconds(1))
            await clock.untilSleeping { $0.contains(.milliseconds(1)) }
            #expect(try await harness.entry() != nil && harness.log.count(of: "withdrawn") == 0)
            clock.advance(by: .milliseconds(1))
            try await eventually { try await harness.entry() == nil }
            try await eventually { harness.log.count(of: "withdrawn") == 1 }
            await idle()
            let other = "/services/redis/i1"
            #expect(
                try await history(harness)
                    == ["up \(Harness.key)", "up \(other)", "draining \(Harness.key)", "gone \(Harness.key)"])
        }
    }

    @Test func wantedAgainBeforeItIsGoneItStays() async throws {
        let harness = try harness()
        try await harness.running {
            try await harness.untilPublished()
            await idle()
            harness.registrator.publish([])
            await clock.untilSleeping { $0.contains(Self.drainTime) }
            clock.advance(by: .seconds(1))
            harness.registrator.publish([Wanted(try Fixture.registration(at: "10.77.0.1:7000"))])
            try await harness.until { record, _ in record.state == .up && record.port == 7000 }
            await idle()
            clock.advance(by: .seconds(30))
            await idle()
            #expect(
                try await history(harness) == ["up \(Harness.key)", "draining \(Harness.key)", "up \(Harness.key)"])
            #expect(harness.log.count(of: "withdrawn") == 0)
        }
    }

    @Test func theNewestIsPublishedWhenTheStoreIsBack() async throws {
        let harness = try harness()
        try await harness.running {
            try await harness.untilPublished()
            await idle()
            harness.store.fail(reads: .error(.unavailable), puts: .error(.unavailable))
            for (count, port) in [7000, 7001, 7002].enumerated() {
                harness.registrator.publish([Wanted(try Fixture.registration(at: "10.77.0.1:\(port)"))])
                try await eventually { harness.registrator.statistics().failures > count }
            }
            harness.store.fail()
            try await eventually {
                clock.advance(by: .seconds(10))
                return try await harness.record()?.port == 7002
            }
            #expect(try await history(harness) == ["up \(Harness.key)", "up \(Harness.key)"])
        }
    }

    @Test func aLostLeaseBringsBackOnlyWhatIsWanted() async throws {
        let harness = try harness(["i0", "i1"])
        let other = "/services/redis/i1"
        try await harness.running {
            let first = try await harness.untilPublished()
            await idle()
            harness.registrator.publish([Wanted(try Fixture.registration(instance: "i1"))])
            await clock.untilSleeping { $0.contains(Self.drainTime) }
            harness.memory.revoke(try #require(first.lease))
            try await harness.until(other) { $1.lease != first.lease }
            await idle()
            #expect(try await harness.entry() == nil)
            clock.advance(by: .seconds(30))
            await idle()
            #expect(try await history(harness).filter { $0.hasSuffix("i0") }.last == "gone \(Harness.key)")
        }
    }

    /// A store that is full takes no word, but a delete: better gone without a word than pointing at nobody.
    @Test func whatLeavesAFullStoreIsDeleted() async throws {
        let harness = try harness()
        try await harness.running {
            try await harness.untilPublished()
            await idle()
            harness.store.fail(puts: .error(.outOfSpace))
            harness.registrator.publish([])
            try await eventually { try await harness.entry() == nil }
            #expect(try await history(harness) == ["up \(Harness.key)", "gone \(Harness.key)"])
            try await eventually { harness.log.count(of: "withdrawn") == 1 }
        }
    }

    /// One key is in other hands, so a back-off runs; it does not hold up what leaves.
    @Test func whatIsDueDoesNotWaitForABackOff() async throws {
        let harness = try Harness(clock: clock, instances: ["i0", "i1"], drainTime: .milliseconds(1))
        let foreign = harness.memory.grant(timeToLive: .seconds(3600))
        try await harness.put(node: "hostB", lease: foreign)
        let other = "/services/redis/i1"
        try await harness.running {
            try await harness.untilPublished(other)
            harness.registrator.publish([Wanted(try Fixture.registration())])
            try await harness.until(other) { record, _ in record.state == .draining }
            await clock.untilSleeping { $0.contains(.milliseconds(1)) }
            clock.advance(by: .milliseconds(1))
            try await eventually { try await harness.entry(other) == nil }
        }
    }

    @Test func withdrawingTakesBackWhatStandsAndWhatIsLeaving() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: ["i0", "i1"], drainTime: .milliseconds(200))
        let other = "/services/redis/i1"
        try await harness.withdrawing(clock, .milliseconds(200)) {
            try await harness.untilPublished()
            harness.registrator.publish([Wanted(try Fixture.registration(instance: "i1"))])
            try await harness.until { record, _ in record.state == .draining }
            // Its own drain time runs, and is not to be taken for the withdrawal's.
            await clock.untilSleeping { $0.contains(.milliseconds(200)) }
            clock.advance(by: .milliseconds(50))
        }
        let history = try await history(harness)
        #expect(history.filter { $0.hasPrefix("gone") } == ["gone \(Harness.key)", "gone \(other)"])
        #expect(history.contains("draining \(other)"))
        // The withdrawal says its own word of each.
        #expect(harness.log.count(of: "draining") == 1 && harness.log.count(of: "withdrawn") == 2)
    }

    @Test func withdrawnWithNothingPublishedItIsImmediate() async throws {
        let harness = try Harness(instances: [], drainTime: .seconds(20))
        let took = try await harness.withdrawing {
            try await eventually { try await harness.entry(Harness.presence) != nil }
        }
        #expect(took < .seconds(5))
    }
}
