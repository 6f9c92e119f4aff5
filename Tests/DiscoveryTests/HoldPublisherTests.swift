// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct HoldPublisherTests {
    private let holder = DiscoveryConfiguration.Holder(node: "hostB", process: "p1")
    private let key = "/services/redis/a"

    /// Runs `body` over a watcher that holds one instance.
    private func holding(
        _ harness: WatcherHarness, _ body: () async throws -> Void
    ) async throws {
        let endpoint = TableHarness.endpoint(1)
        harness.prober.accept([endpoint])
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put(key, endpoint, lease: lease)
        try await harness.running {
            try await harness.until([endpoint])
            #expect(harness.store.faults.owners == 0, "no lease while nothing is held")
            harness.memory.revoke(lease)
            try await eventually { try harness.report().instances.map(\.state) == [.held] }
            try await body()
        }
    }

    private func rows(_ harness: WatcherHarness) async throws -> [HoldRow] {
        HoldRow.rows(try await harness.memory.list(KeyLayout.standard.holdsRange), layout: .standard)
    }

    @Test func saysWhatIsHeldForAsLongAsItIs() async throws {
        let harness = try WatcherHarness(holder: holder)
        try await holding(harness) {
            try await eventually { try await !rows(harness).isEmpty }
            let row = try #require(try await rows(harness).first)
            #expect(row.key == key && row.process == "p1" && row.record.node == "hostB")
            #expect(row.record.endpoint == TableHarness.endpoint(1) && row.service.description == "redis")
            #expect(row.record.since < row.record.until)
            let entry = try await harness.memory.list(KeyLayout.standard.holdsRange).entries.first
            #expect(entry?.lease != nil, "it goes with us")
            try await harness.put(key, TableHarness.endpoint(1))
            try await eventually { try await rows(harness).isEmpty }
        }
        #expect(harness.store.faults.owners == 1)
    }

    /// Its key is not of the layout: the hold says it, and what it is called there is what an operator's word calls it.
    @Test(arguments: KeyLayout.Order.allCases)
    func saysWhatIsHeldOfAServiceThatStandsElsewhere(_ order: KeyLayout.Order) async throws {
        var layout = KeyLayout.standard
        layout.order = order
        let redis = try #require(ServiceName("redis"))
        let harness = try WatcherHarness(
            holder: holder, layout: layout, sources: [redis: EntrySource(prefix: "/db")])
        let (endpoint, key) = (TableHarness.endpoint(1), "/db/\u{301}a/x1")
        harness.prober.accept([endpoint])
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put(key, endpoint, lease: lease)
        try await harness.running {
            try await harness.until([endpoint])
            harness.memory.revoke(lease)
            try await eventually { try harness.report().instances.map(\.state) == [.held] }
            try await eventually { try await !harness.memory.list(layout.holdsRange).entries.isEmpty }
            let listing = try await harness.memory.list(layout.holdsRange)
            let row = try #require(HoldRow.rows(listing, layout: layout).first)
            #expect(row.service == redis && row.key == key && row.record.endpoint == endpoint)
            try await harness.put("/services-overrides/redis/\u{301}a%2Fx1", text: #"{"state":"draining"}"#)
            try await harness.until([])
        }
    }

    @Test func aLostLeaseIsSaidAgain() async throws {
        let harness = try WatcherHarness(holder: holder)
        try await holding(harness) {
            try await eventually { try await !rows(harness).isEmpty }
            let entry = try await harness.memory.list(KeyLayout.standard.holdsRange).entries.first
            let lease = try #require(entry?.lease)
            harness.memory.revoke(lease)
            try await eventually {
                let entry = try await harness.memory.list(KeyLayout.standard.holdsRange).entries.first
                return entry.map { $0.lease != lease } ?? false
            }
        }
    }

    @Test func aRegistryThatDoesNotLetUsIsToldOfOnceAndDisturbsNothing() async throws {
        let harness = try WatcherHarness(holder: holder)
        harness.store.change { $0.commit = .permissionDenied }
        try await holding(harness) {
            let message = "registry does not let us tell what is held"
            try await eventually { harness.log.lines(message).count == 1 }
            try await harness.put("/services/redis/b", TableHarness.endpoint(2))
            try await harness.until([TableHarness.endpoint(1), TableHarness.endpoint(2)])
            #expect(harness.log.lines(message).count == 1)
            #expect(harness.store.faults.owners == 1)
        }
    }

    @Test func triesAgainWhenTheRegistryFails() async throws {
        let harness = try WatcherHarness(holder: holder)
        harness.store.change { $0.commit = .unavailable }
        try await holding(harness) {
            try await eventually { harness.store.faults.owners >= 2 }
            harness.store.change { $0.commit = nil }
            try await eventually { try await !rows(harness).isEmpty }
        }
    }

    @Test func oneWithoutANameSaysNothing() async throws {
        let harness = try WatcherHarness(holder: nil)
        try await holding(harness) {}
        #expect(harness.store.faults.owners == 0)
    }

    @Test(arguments: [
        "/services-holds/redis/a", "/services-holds/a/p1", "/services/redis/a/p1", "/services-holds/redis/a/",
    ])
    func otherKeysAreNoHolds(_ key: String) throws {
        let record = HoldRecord(endpoint: TableHarness.endpoint(1), node: "n", since: "s", until: "u")
        let entry = RegistryEntry(key: key, value: record.encoded(), modRevision: 1, lease: nil)
        let rows = HoldRow.rows(RegistryListing(revision: 1, entries: [entry]), layout: .standard)
        #expect(rows.isEmpty)
    }

    @Test(arguments: [
        "{", #"{"v":2,"host":"10.0.0.1","port":1,"node":"n","since":"s","until":"u"}"#,
        #"{"host":"x","port":1,"node":"n","since":"s","until":"u"}"#, #"{"host":"10.0.0.1","port":1,"node":"n"}"#,
        #"{"host":"10.0.0.1","port":65536,"node":"n","since":"s","until":"u"}"#,
    ])
    func valuesThatCannotBeReadSayNothing(_ value: String) {
        let entry = RegistryEntry(
            key: "/services-holds/redis/a/p1", value: Array(value.utf8), modRevision: 1, lease: nil)
        let rows = HoldRow.rows(RegistryListing(revision: 1, entries: [entry]), layout: .standard)
        #expect(rows.isEmpty)
    }
}
