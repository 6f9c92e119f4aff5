// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// What new clients meet when nothing is left, or nothing has been heard for long.
@Suite(.timeLimit(.minutes(1))) struct AbsenceTests {
    private let one = TableHarness.endpoint(1)
    private let two = TableHarness.endpoint(2)
    private let other = TableHarness.endpoint(99)
    private let redis: ServiceName

    init() throws {
        redis = try #require(ServiceName("redis"))
    }

    private func harness(_ policy: AbsencePolicy) throws -> WatcherHarness {
        try WatcherHarness(hold: .zero, absences: [redis: policy])
    }

    @Test func refuseLeavesNobody() async throws {
        let harness = try harness(AbsencePolicy())
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await harness.until([one])
            try await harness.delete(TableHarness.key("1"))
            try await harness.until([])
        }
    }

    @Test func keepGoesOnWithTheLastThatWereThere() async throws {
        let harness = try harness(AbsencePolicy(onEmpty: .keep))
        try await harness.running {
            try await harness.until([])
            try await harness.put([(TableHarness.key("1"), one), (TableHarness.key("2"), two)])
            try await harness.until([one, two])
            let before = harness.seen.newest()
            try await harness.delete(TableHarness.key("1"), TableHarness.key("2"))
            // Publishing nothing is seen by nobody: what it says is waited for.
            let kept = "no instance is left; the last ones are used on"
            try await eventually { harness.log.lines(kept).count == 1 }
            #expect(harness.seen.newest() == before)
            try await harness.put(TableHarness.key("3"), other)
            try await harness.until([other])
            #expect(harness.seen.all().allSatisfy { $0 == harness.seen.all().first || !$0.instances.isEmpty })
        }
    }

    /// What `services` shows as not used is not used: kept is only who left without a word about himself.
    @Test(arguments: [
        #"{"host":"10.0.0.1","port":6379,"state":"draining"}"#, #"{"host":"10.0.0.1","port":6379,"weight":0}"#,
    ])
    func keepDoesNotGoOnWithOneThatSaysNo(_ value: String) async throws {
        let harness = try harness(AbsencePolicy(onEmpty: .keep))
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await harness.until([one])
            try await harness.put(TableHarness.key("1"), text: value)
            try await harness.until([])
            try await harness.delete(TableHarness.key("1"))
            try await harness.put(TableHarness.key("2"), two)
            try await harness.until([two])
        }
        #expect(harness.log.lines("no instance is left; the last ones are used on").isEmpty)
    }

    @Test func keepDoesNotGoOnWithOneThatIsDrained() async throws {
        let harness = try harness(AbsencePolicy(onEmpty: .keep))
        try await harness.put([(TableHarness.key("1"), one), (TableHarness.key("2"), two)])
        try await harness.running {
            try await harness.until([one, two])
            try await harness.delete(TableHarness.key("1"), TableHarness.key("2"))
            let kept = "no instance is left; the last ones are used on"
            try await eventually { harness.log.lines(kept).count == 1 }
            // Also one whose key has long gone.
            try await harness.put("/services-overrides/redis/1", text: #"{"state":"draining"}"#)
            try await harness.until([two])
            try await harness.put("/services-overrides/redis/*", text: #"{"state":"draining"}"#)
            try await harness.until([])
        }
    }

    @Test func neitherKeepNorFallbackDialsOurselves() async throws {
        let keeping = try harness(AbsencePolicy(onEmpty: .keep))
        try await keeping.put(TableHarness.key("1"), one)
        try await keeping.running {
            try await keeping.until([one])
            keeping.own.value = [one]
            keeping.watcher.ownEndpointsChanged()
            try await keeping.until([])
        }
        let falling = try harness(AbsencePolicy(onEmpty: .fallback(other)))
        try await falling.running {
            try await falling.until([other])
            falling.own.value = [other]
            falling.watcher.ownEndpointsChanged()
            try await falling.until([])
            #expect(falling.log.lines("entry skipped").first?.text("reason") == "own-listener")
            falling.own.value = []
            falling.watcher.ownEndpointsChanged()
            try await falling.until([other])
        }
    }

    @Test func fallbackTakesOverAndGoesAgain() async throws {
        let harness = try harness(AbsencePolicy(onEmpty: .fallback(other)))
        try await harness.running {
            try await harness.until([other])
            try await harness.put(TableHarness.key("1"), one)
            try await harness.until([one])
            try await harness.delete(TableHarness.key("1"))
            try await harness.until([other])
        }
        #expect(harness.seen.all().allSatisfy { $0.instances.count == 1 })
    }

    @Test func dropAfterWaitsAndComesBack() async throws {
        let harness = try harness(AbsencePolicy(onLoss: .drop(after: .seconds(5)), onEmpty: .keep))
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await harness.until([one])
            harness.store.change { $0.staleSince = .now - .seconds(2) }
            try await harness.put(TableHarness.key("2"), two)
            try await harness.until([one, two])
            // "keep" is about an empty service, not about one of which nothing is known.
            harness.store.change { $0.staleSince = .now - .seconds(5) }
            try await harness.until([])
            harness.store.change { $0.staleSince = nil }
            try await harness.until([one, two])
        }
        #expect(harness.log.lines("registry silent for too long; instances dropped").count == 1)
        #expect(harness.log.lines("instances used again").count == 1)
    }

    @Test func whoIsDroppedIsReplacedByTheFallback() async throws {
        let harness = try harness(AbsencePolicy(onLoss: .drop(after: .seconds(1)), onEmpty: .fallback(other)))
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await harness.until([one])
            harness.store.change { $0.staleSince = .now - .seconds(1) }
            try await harness.until([other])
            harness.store.change { $0.staleSince = nil }
            try await harness.until([one])
        }
    }
}
