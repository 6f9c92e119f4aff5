// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Foundation
import Registry
import ServiceModel
import TestSupport
import Testing

/// When a proxy saves what it knows, and how old that is to the next one.
@Suite(.timeLimit(.minutes(1))) struct SavingTests {
    private let one = TableHarness.endpoint(1)
    private let two = TableHarness.endpoint(2)
    private let redis: ServiceName
    /// When everything here begins.
    private let beginning: Date

    init() throws {
        redis = try #require(ServiceName("redis"))
        beginning = try Date("2026-11-22T11:00:00Z", strategy: .iso8601)
    }

    /// A watcher that knows one instance and has saved it, by a clock that stands still.
    private func saving(
        _ clock: ManualClock, _ kept: MemoryLastGood, _ body: (WatcherHarness) async throws -> Void
    ) async throws {
        let beginning = beginning
        let harness = try WatcherHarness(
            clock: clock, lastGood: kept,
            wallClock: { beginning.addingTimeInterval(clock.now.offset / .seconds(1)) })
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await eventually { kept.stored?.services[redis]?.count == 1 }
            try await body(harness)
        }
    }

    private func add(_ number: Int, to harness: WatcherHarness) async throws {
        try await harness.put(TableHarness.key("\(number)"), TableHarness.endpoint(number))
        try await eventually {
            try harness.report().instances.contains { $0.endpoint == TableHarness.endpoint(number) }
        }
    }

    /// Moves time on a second at a time, for as long as it takes or as it is told.
    private func advance(_ clock: ManualClock, seconds: Int = .max, until isOver: () -> Bool = { false }) async throws {
        for _ in 0..<seconds where !isOver() {
            clock.advance(by: .seconds(1))
            try await Task.sleep(for: .milliseconds(2))
            if isOver() { return }
        }
    }

    /// Moves time on no faster than the watcher looks at it. - Returns: when it dropped what it had known.
    private func untilDropped(_ clock: ManualClock, _ harness: WatcherHarness) async throws -> Duration {
        while harness.log.lines("registry silent for too long; instances dropped").isEmpty {
            clock.advance(by: .seconds(1))
            // Its next look.
            await clock.untilSleeping { $0.contains(.milliseconds(200)) }
        }
        let dropped = clock.now.offset
        try await advance(clock) { harness.seen.newest()?.instances.isEmpty ?? false }
        return dropped
    }

    @Test func savesAtMostOnceASecond() async throws {
        let (clock, kept) = (ManualClock(), try MemoryLastGood())
        try await saving(clock, kept) { harness in
            let saves = kept.saves
            for number in 2...4 { try await add(number, to: harness) }
            await clock.untilSleeping { $0.contains(.seconds(1)) }
            clock.advance(by: .milliseconds(999))
            #expect(kept.saves == saves)
            clock.advance(by: .milliseconds(1))
            try await eventually { kept.saves == saves + 1 }
            #expect(kept.stored?.services[redis]?.count == 4)
        }
    }

    @Test func saysEveryMinuteThatItIsStillTrueWhileTheRegistrySpeaks() async throws {
        let (clock, kept) = (ManualClock(), try MemoryLastGood())
        try await saving(clock, kept) { harness in
            #expect(kept.saves == 1 && kept.stored?.savedAt == "2026-11-22T11:00:00Z")
            try await advance(clock) { kept.saves == 2 }
            #expect(clock.now.offset >= .seconds(60))
            let saved = try Date(try #require(kept.stored?.savedAt), strategy: .iso8601)
            #expect(saved >= beginning.addingTimeInterval(60))
            harness.store.change { $0.staleSince = .now }
            try await advance(clock, seconds: 150)
            #expect(kept.saves == 2, "what nobody confirms is not said to be true")
        }
        #expect(kept.saves == 2, "nor at the end")
    }

    @Test func savesAtItsEndWhatHadNoTurn() async throws {
        let (clock, kept) = (ManualClock(), try MemoryLastGood())
        try await saving(clock, kept) { harness in
            try await add(2, to: harness)
            #expect(kept.stored?.services[redis]?.count == 1)
        }
        #expect(kept.stored?.services[redis]?.map(\.record.endpoint) == [one, two])
    }

    @Test func aServiceThatMayNotBeReadIsLeftOut() async throws {
        let kept = try MemoryLastGood(services: ["redis", "web"])
        let harness = try WatcherHarness(services: ["redis", "web"], lastGood: kept)
        harness.store.change { $0.denied = .prefix("/services/web/") }
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await eventually { kept.stored?.services[redis]?.count == 1 }
            #expect(kept.stored?.services.count == 1)
        }
    }

    // MARK: Age

    /// A link that believes for a minute, over a file that was saved so long before its start.
    private func started(
        _ age: Duration, _ clock: ManualClock, _ body: (WatcherHarness) async throws -> Void
    ) async throws -> WatcherHarness {
        let kept = try MemoryLastGood()
        let entry = LastGood.Entry(key: TableHarness.key("1"), record: InstanceRecord(endpoint: one))
        try kept.save(
            LastGood(
                origin: kept.origin, savedAt: beginning.formatted(.iso8601), revision: 7, services: [redis: [entry]]))
        let start = beginning.addingTimeInterval(age / .seconds(1))
        let harness = try WatcherHarness(
            clock: clock, lastGood: kept, absences: [redis: AbsencePolicy(onLoss: .drop(after: .seconds(60)))],
            wallClock: { start })
        harness.store.change { $0.list = .unavailable }
        try await harness.running {
            await clock.untilSleeping { $0.contains(.milliseconds(500)) }
            clock.advance(by: .milliseconds(500))
            try await body(harness)
        }
        return harness
    }

    @Test func whatIsTooOldAtTheStartIsNeverUsed() async throws {
        let harness = try await started(.seconds(3 * 86_400), ManualClock()) { harness in try await harness.until([]) }
        #expect(harness.seen.all().count == 1)
        #expect(harness.log.lines("registry silent for too long; instances dropped").count == 1)
        #expect(harness.log.lines("instances used again").isEmpty)
    }

    @Test func theAgeAtTheStartCountsUntilTheRegistrySpeaks() async throws {
        let clock = ManualClock()
        _ = try await started(.seconds(40), clock) { harness in
            try await harness.until([one])
            let dropped = try await untilDropped(clock, harness)
            #expect(dropped >= .seconds(20) && dropped < .seconds(40))
            harness.store.change { $0.list = nil }
            try await harness.put(TableHarness.key("1"), one)
            try await advance(clock) { harness.seen.newest()?.instances.map(\.endpoint) == [one] }
        }
    }

    @Test func aClockThatWentBackMakesNothingYounger() async throws {
        let clock = ManualClock()
        _ = try await started(.seconds(-3600), clock) { harness in
            try await harness.until([one])
            let dropped = try await untilDropped(clock, harness)
            #expect(dropped >= .seconds(60) && dropped < .seconds(80))
        }
    }
}
