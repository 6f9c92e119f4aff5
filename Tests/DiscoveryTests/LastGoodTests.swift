// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// What a table makes of an earlier process's knowledge.
@Suite struct RestoringTests {
    private static func known(_ numbers: [Int]) -> [LastGood.Entry] {
        numbers.map { number in
            LastGood.Entry(
                key: TableHarness.key("\(number)"), record: InstanceRecord(endpoint: TableHarness.endpoint(number)))
        }
    }

    private func restored(_ entries: [LastGood.Entry], policy: TargetPolicy = TargetPolicy()) throws -> TableHarness {
        var harness = try TableHarness(policy: policy, isListed: false)
        harness.restore(entries)
        return harness
    }

    @Test func isUsedUntilTheRegistrySpeaks() throws {
        var harness = try restored(Self.known([1, 2]))
        #expect(harness.used == [1, 2] && !harness.table.isConfirmed)
        let kept = harness.id(of: 1)
        harness.write([
            TableHarness.put("1", TableHarness.value(TableHarness.endpoint(1))),
            TableHarness.put("2", TableHarness.value(TableHarness.endpoint(2))),
        ])
        harness.reset()
        #expect(harness.used == [1, 2] && harness.table.isConfirmed)
        #expect(harness.id(of: 1) == kept, "no connection is touched")
    }

    /// Nobody knows how they went: they are held while they accept, as after any loss of sight.
    @Test func whatTheRegistryLacksLeavesAsUnexplained() throws {
        var harness = try restored(Self.known([1, 2, 3]))
        harness.accepting = [TableHarness.endpoint(1)]
        harness.reset()
        harness.answer()
        #expect(harness.used == [1] && harness.names(.held) == ["1"])
        harness.pass(.seconds(61))
        #expect(harness.used == [])
    }

    @Test func passesEveryCheckAgain() throws {
        let hostile = try ["169.254.169.254:80", "127.0.0.1:2375", "0.0.0.0:1", "8.8.8.8:53"].map { text in
            LastGood.Entry(
                key: TableHarness.key(text), record: InstanceRecord(endpoint: try #require(Endpoint(text))))
        }
        let foreign = LastGood.Entry(
            key: "/services/other/1", record: InstanceRecord(endpoint: TableHarness.endpoint(9)))
        var harness = try restored(hostile + [foreign] + Self.known([1]))
        #expect(harness.used == [1])
        let reasons = Set(harness.table.report(now: .zero).skipped.map(\.reason))
        #expect(reasons == [.forbidden, .loopback, .notAllowed, .key])
    }

    @Test func comesTooLateOnceTheRegistryHasSpoken() throws {
        var harness = try TableHarness()
        harness.restore(Self.known([1]))
        #expect(harness.used == [])
    }

    @Test func tellsWhatIsToBeKept() throws {
        var harness = try TableHarness()
        harness.put("b", TableHarness.value(TableHarness.endpoint(2), weight: 7))
        harness.put("a", TableHarness.value(TableHarness.endpoint(1), state: .draining))
        harness.put("bad", Array("{".utf8))
        let kept = harness.table.lastGood()
        #expect(kept.map(\.key) == ["a", "b"].map(TableHarness.key))
        #expect(kept.map(\.record.state) == [.draining, .up] && kept.last?.record.weight == 7)
    }
}

/// A proxy's start while the registry is silent.
@Suite(.timeLimit(.minutes(1))) struct LastGoodWatcherTests {
    private let one = TableHarness.endpoint(1)

    private func lastGood(_ store: MemoryLastGood) -> LastGood {
        let entry = LastGood.Entry(key: TableHarness.key("1"), record: InstanceRecord(endpoint: one))
        return LastGood(
            origin: store.origin, savedAt: "2026-11-22T11:00:00Z", revision: 7,
            services: Dictionary(uniqueKeysWithValues: store.origin.services.map { ($0, [entry]) }))
    }

    @Test func beginsWithWhatWasKnown() async throws {
        let kept = try MemoryLastGood()
        try kept.save(lastGood(kept))
        let harness = try WatcherHarness(lastGood: kept)
        harness.store.change { $0.list = .unavailable }
        try await harness.running {
            try await harness.until([one])
            #expect(kept.saves == 1, "what was only taken up is not saved as news")
            try await harness.put(TableHarness.key("2"), TableHarness.endpoint(2))
            harness.store.change { $0.list = nil }
            try await eventually { kept.saves > 1 }
        }
        #expect(harness.log.lines("registry is silent; began with what was known last").count == 1)
        #expect(kept.stored?.services.values.map { $0.map(\.key) } == [[TableHarness.key("2")]])
    }

    /// An operator's word holds for a proxy that starts without the registry, as long as it says so itself.
    @Test func beginsWithWhatOperatorsHadSaid() async throws {
        let kept = try MemoryLastGood()
        let entries = [one, TableHarness.endpoint(2), TableHarness.endpoint(3)].enumerated().map { index, endpoint in
            LastGood.Entry(key: TableHarness.key("\(index + 1)"), record: InstanceRecord(endpoint: endpoint))
        }
        let words = [("1", "2100-01-01T00:00:00Z"), ("2", nil), ("3", "2026-01-01T00:00:00Z")].map { name, until in
            LastGood.Word(
                instance: name, record: OverrideRecord(.draining, by: nil, since: nil, until: until))
        }
        let redis = try #require(ServiceName("redis"))
        try kept.save(
            LastGood(
                origin: kept.origin, savedAt: "2026-11-22T11:00:00Z", revision: 7, services: [redis: entries],
                words: [redis: words]))
        let harness = try WatcherHarness(lastGood: kept)
        harness.store.change { faults in
            faults.list = .unavailable
            faults.overrides = .unavailable
        }
        try await harness.running { try await harness.until([TableHarness.endpoint(3)]) }
        #expect(harness.seen.all().count == 1)
    }

    @Test func doesNotAskForItWhenTheRegistryAnswers() async throws {
        let kept = try MemoryLastGood()
        try kept.save(lastGood(kept))
        // A time that never comes: what is slow here is the machine, not the registry.
        let harness = try WatcherHarness(clock: ManualClock(), lastGood: kept)
        try await harness.running {
            try await harness.until([])
            try await eventually { kept.saves > 1 }
        }
        #expect(kept.loads == 0 && kept.stored?.services.values.map(\.count) == [0])
    }

    @Test func goesOnWithoutAFileThatIsOfNoUse() async throws {
        let kept = try MemoryLastGood()
        kept.refuses = true
        let harness = try WatcherHarness(lastGood: kept)
        harness.store.change { $0.list = .unavailable }
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await eventually { harness.log.lines("what was known last is not used").count == 1 }
            harness.store.change { $0.list = nil }
            try await harness.until([one])
            // And a place that cannot be written to is told of once.
            try await harness.put(TableHarness.key("2"), TableHarness.endpoint(2))
            try await eventually { kept.saves >= 2 }
        }
        #expect(
            harness.log.lines("what is known cannot be saved; a start without the registry would know nothing").count
                == 1)
    }

    @Test func beginsWithWhatOneMemberKnowsOfOperators() async throws {
        let harness = try WatcherHarness()
        harness.store.change { faults in
            faults.list = .unavailable
            faults.overrides = .unavailable
            faults.answersUnconfirmed = true
        }
        try await harness.put("/services-overrides/redis/1", text: #"{"state":"draining"}"#)
        try await harness.put([(TableHarness.key("1"), one), (TableHarness.key("2"), TableHarness.endpoint(2))])
        try await harness.running { try await harness.until([TableHarness.endpoint(2)]) }
        #expect(harness.seen.all().count == 1)
    }

    @Test func beginsWithWhatOneMemberKnows() async throws {
        let harness = try WatcherHarness()
        harness.store.change { faults in
            faults.list = .unavailable
            faults.answersUnconfirmed = true
        }
        try await harness.put(TableHarness.key("1"), one)
        try await harness.running {
            try await harness.until([one])
            // Told after it is in use.
            let said = "registry has no quorum; began with what one member knows"
            try await eventually { harness.log.lines(said).count == 1 }
            try await harness.delete(TableHarness.key("1"))
            harness.store.change { $0.list = nil }
            try await harness.until([])
        }
    }
}
