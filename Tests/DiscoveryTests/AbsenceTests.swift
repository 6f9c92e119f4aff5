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
