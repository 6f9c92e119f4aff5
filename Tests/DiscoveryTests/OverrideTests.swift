// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Foundation
import Registry
import ServiceModel
import TestSupport
import Testing

/// An operator's word takes instances out, or weighs them otherwise, and ends.
@Suite struct OverrideTableTests {
    private func override(_ word: OverrideRecord.Word, until: Duration? = nil) -> EndpointTable.Override {
        EndpointTable.Override(OverrideRecord(word, by: "alice", since: nil, until: nil), until: until)
    }

    @Test func drainsOneAndUndoes() throws {
        var harness = try TableHarness()
        harness.putUp(3)
        let id = harness.id(of: 2)
        harness.say(["2": override(.draining)])
        #expect(harness.used == [1, 3] && harness.names(.draining) == ["2"])
        // What its registrator says meanwhile does not bring it back.
        harness.put("2", TableHarness.value(TableHarness.endpoint(2), weight: 50))
        #expect(harness.used == [1, 3])
        harness.say([:])
        #expect(harness.used == [1, 2, 3] && harness.id(of: 2) == id)
        #expect(harness.instances().first { $0.endpoint == TableHarness.endpoint(2) }?.weight == 50)
    }

    @Test func weighsAllThatHaveNoWordOfTheirOwn() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        harness.say(["*": override(.weight(7)), "1": override(.weight(0))])
        #expect(harness.instances().map(\.weight) == [7] && harness.used == [2])
        harness.putUp(3)
        #expect(harness.used == [2, 3], "who comes later too")
    }

    @Test func endsByItself() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        harness.say(["1": override(.draining, until: .seconds(10)), "2": override(.weight(3))])
        harness.pass(.seconds(9))
        #expect(harness.used == [2])
        harness.pass(.seconds(2))
        #expect(harness.used == [1, 2])
        #expect(harness.instances().map(\.weight).sorted() == [3, 100])
    }

    /// Its key may go: somebody wanted it out, so there is nothing to be held.
    @Test func whatIsDrainedIsNotHeldWhenItsKeyGoes() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.say(["1": override(.draining)])
        harness.expire(1)
        harness.answer()
        #expect(harness.used == [] && harness.names(.held) == [] && harness.names(.leaving) == [])
    }

    /// As a word of its own: what the registrator says stands beside it, for when it is undone.
    @Test func outlivesTheProcessBesideTheEntries() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.say(["1": override(.draining), "*": override(.weight(3))])
        #expect(harness.table.lastGood().map(\.record.state) == [.up])
        #expect(harness.table.lastGoodWords().map(\.instance) == ["*", "1"])
        #expect(harness.table.lastGoodWords().map(\.record.word) == [.weight(3), .draining])
    }

    // MARK: Held instances

    private func holding(_ count: Int) throws -> TableHarness {
        var harness = try TableHarness()
        harness.putUp(count)
        harness.delete((1...count).map(String.init))
        harness.answer()
        #expect(harness.names(.held).count == count && harness.used.count == count)
        return harness
    }

    @Test func whatIsHeldIsDrainedLikeAnyOther() throws {
        var harness = try holding(2)
        harness.say(["1": override(.draining)])
        #expect(harness.used == [2] && harness.names(.held) == ["2"])
        #expect(harness.notices.last == .holdEnded(key: TableHarness.key("1"), TableHarness.endpoint(1), .drained))
        harness.say(["*": override(.draining)])
        #expect(harness.used == [] && harness.names(.held) == [])
        harness.pass(.seconds(30))
        #expect(harness.used == [], "nor does a probe bring it back")
    }

    @Test func whatIsHeldIsWeighedLikeAnyOther() throws {
        var harness = try holding(2)
        harness.say(["1": override(.weight(7))])
        #expect(harness.instances().map(\.weight).sorted() == [7, 100])
        harness.say(["1": override(.weight(0))])
        #expect(harness.used == [2])
    }

    /// It is asked because it left before the others, and says yes after the operator has said no.
    @Test func whatIsDrainedWhileItIsAskedStaysOut() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        harness.delete("1", "2")
        harness.say(["*": override(.draining)])
        harness.answer()
        #expect(harness.used == [] && harness.names(.held) == [])
    }
}

@Suite(.timeLimit(.minutes(1))) struct OverrideWatcherTests {
    private let one = TableHarness.endpoint(1)
    private let two = TableHarness.endpoint(2)

    private func say(_ harness: WatcherHarness, _ key: String, _ value: String?) async throws {
        let operation = value.map { RegistryWrite.Operation.put(Array($0.utf8), lease: nil) } ?? .delete
        _ = try await harness.memory.commit([RegistryWrite(key: key, condition: .none, operation: operation)])
    }

    @Test func followsWhatIsSaid() async throws {
        let harness = try WatcherHarness()
        let key = "/services-overrides/redis/1"
        try await say(harness, key, #"{"state":"draining","by":"alice"}"#)
        try await harness.put([(TableHarness.key("1"), one), (TableHarness.key("2"), two)])
        try await harness.running {
            try await harness.until([two])
            try await say(harness, key, nil)
            try await harness.until([one, two])
            try await say(harness, "/services-overrides/redis/*", #"{"weight":0}"#)
            try await harness.until([])
            try await say(harness, "/services-overrides/redis/*", #"{"weight":"much"}"#)
            try await harness.until([one, two])
            try await eventually { harness.log.lines("override skipped").count == 1 }
        }
    }

    @Test func endsAtUntil() async throws {
        let clock = ManualClock()
        let beginning = try Date("2026-11-22T11:00:00Z", strategy: .iso8601)
        let harness = try WatcherHarness(
            clock: clock, wallClock: { beginning.addingTimeInterval(clock.now.offset / .seconds(1)) })
        try await harness.put(TableHarness.key("1"), one)
        try await say(harness, "/services-overrides/redis/1", #"{"state":"draining","until":"2026-11-22T11:00:02Z"}"#)
        try await harness.running {
            try await harness.until([])
            try await eventually {
                clock.advance(by: .milliseconds(100))
                return harness.seen.newest()?.instances.map(\.endpoint) == [one]
            }
        }
        #expect(clock.now.offset >= .seconds(2))
    }

    /// Swift takes two spellings of é for one string; for the registry they are two keys, and two instances.
    @Test func keysThatLookTheSameAreTwoWords() async throws {
        let harness = try WatcherHarness()
        let (composed, apart) = ("/services-overrides/redis/\u{e9}", "/services-overrides/redis/e\u{301}")
        try await say(harness, composed, #"{"state":"draining"}"#)
        try await say(harness, apart, #"{"weight":7}"#)
        try await harness.put([(TableHarness.key("\u{e9}"), one), (TableHarness.key("e\u{301}"), two)])
        try await harness.running {
            try await harness.until([two])
            #expect(harness.seen.newest()?.instances.map(\.weight) == [7])
            // Their end is told apart as well.
            try await say(harness, composed, nil)
            try await harness.until([one, two])
            try await eventually { harness.seen.newest()?.instances.map(\.weight).sorted() == [7, 100] }
        }
    }

    /// A proxy that starts does not use for a moment what an operator took out.
    @Test func theFirstSnapshotWaitsForWhatIsSaid() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        harness.store.change { $0.overrides = .unavailable }
        try await say(harness, "/services-overrides/redis/1", #"{"state":"draining"}"#)
        try await harness.put([(TableHarness.key("1"), one), (TableHarness.key("2"), two)])
        try await harness.running {
            try await eventually { try harness.report().instances.count == 2 }
            try await eventually { harness.store.faults.overridesLists >= 1 }
            #expect(harness.seen.all().isEmpty)
            harness.store.change { $0.overrides = nil }
            // The first retry, 50 to 100 ms after the failure.
            await clock.untilSleeping { $0.contains { $0 <= .milliseconds(100) } }
            clock.advance(by: .milliseconds(100))
            try await harness.until([two])
        }
        #expect(harness.seen.all().count == 1)
    }

    @Test func theFirstSnapshotDoesNotWaitForEver() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        harness.store.change { $0.overrides = .unavailable }
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await eventually { try harness.report().instances.count == 1 }
            await clock.untilSleeping { $0.contains(.milliseconds(500)) }
            #expect(harness.seen.all().isEmpty)
            clock.advance(by: .milliseconds(500))
            try await harness.until([one])
        }
    }

    /// As for a role that may read nothing but the services.
    @Test func goesWithoutWhatItMayNotRead() async throws {
        let harness = try WatcherHarness()
        harness.store.change { $0.denied = KeyLayout.standard.overridesRange }
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running { try await harness.until([one]) }
    }
}
