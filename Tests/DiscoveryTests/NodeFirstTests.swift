// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// Reading what stands below nodes: all services in one range, and each value held to its key's node.
@Suite(.timeLimit(.minutes(1))) struct NodeFirstTests {
    private static let layout = {
        var layout = KeyLayout.standard
        layout.order = .nodeFirst
        return layout
    }()
    private let one = TableHarness.endpoint(1)
    private let two = TableHarness.endpoint(2)
    private let three = TableHarness.endpoint(3)

    @Test func allServicesOfAllNodesShareOneWatch() async throws {
        let harness = try WatcherHarness(services: ["redis", "shop/web"], layout: Self.layout)
        try await harness.put("/services-by-node/hostA/redis/a", one)
        try await harness.put("/services-by-node/hostB/redis/a", two)
        try await harness.put("/services/redis/a", three)
        try await harness.running {
            try await harness.until([one, two])
            try await harness.until([], of: "shop/web")
            try await harness.put("/services-by-node/hostB/shop/web/i", three)
            try await harness.put("/services-by-node/hostB/redis-A/i", three)
            try await harness.put("/services-by-node/hostB/web/i", three)
            try await harness.until([three], of: "shop/web")
            try await harness.delete("/services-by-node/hostA/redis/a")
            try await harness.until([two])
        }
        #expect(harness.store.faults.ranges == [.prefix("/services-by-node/")])
    }

    /// One watcher's range holds what is not its service's: that is no skipped entry of it.
    @Test func keysOfNobodyAreNotTheOneServicesOwn() async throws {
        let harness = try WatcherHarness(layout: Self.layout)
        try await harness.put("/services-by-node/bare", one)
        try await harness.running {
            try await harness.put("/services-by-node/hostA/redis", two)
            try await harness.put("/services-by-node/host%zz/redis/a", two)
            try await harness.put("/services-by-node/hostA/redis/a", three)
            try await harness.until([three])
        }
        #expect(try harness.report().skipped.isEmpty)
    }

    @Test(.row("S9")) func aValueOfAnotherNodeIsSkipped() async throws {
        let key = "/services-by-node/hostA/redis/a"
        let harness = try WatcherHarness(layout: Self.layout)
        try await harness.put("/services-by-node/hostA/redis/b", text: #"{"host":"10.0.0.2","port":6379}"#)
        try await harness.running {
            try await harness.until([two])
            #expect(try harness.report().instances.map(\.node) == ["hostA"], "the key says whose it is")
            let forged = #"{"host":"10.0.0.1","port":6379,"node":"hostB"}"#
            try await harness.put(key, text: forged)
            try await eventually { try harness.report().skipped == [.init(key: key, reason: .node)] }
            try await harness.put(key, text: #"{"host":"10.0.0.1","port":6379,"node":"hostA"}"#)
            try await harness.until([one, two])
            // Its last good value is used on, as of every key that turns bad.
            try await harness.put(key, text: forged.replacing("10.0.0.1", with: "10.0.0.3"))
            try await eventually { try harness.report().counters.skipped[.node] == 2 }
        }
        #expect(Set(harness.seen.newest()?.instances.compactMap(\.endpoint) ?? []) == [one, two])
    }

    /// Two nodes may have instances of one name: each is held by itself, and only readers of this layout see it.
    @Test func whatIsHeldNamesItsNode() async throws {
        let holder = DiscoveryConfiguration.Holder(node: "hostP", process: "p1")
        let keys = ["/services-by-node/hostA/redis/a", "/services-by-node/hostB/redis/a"]
        let harness = try WatcherHarness(holder: holder, layout: Self.layout)
        harness.prober.accept([one, two])
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put([(keys[0], one), (keys[1], two)], lease: lease)
        try await harness.running {
            try await harness.until([one, two])
            harness.memory.revoke(lease)
            try await eventually {
                let listing = try await harness.memory.list(Self.layout.holdsRange)
                return HoldRow.rows(listing, layout: Self.layout).map(\.key) == keys
            }
            let listing = try await harness.memory.list(Self.layout.holdsRange)
            #expect(
                listing.entries.map(\.key) == [
                    "/services-holds/redis/hostA/a/p1", "/services-holds/redis/hostB/a/p1",
                ])
            #expect(HoldRow.rows(listing, layout: .standard).isEmpty, "no service is called redis/hostA")
        }
    }

    /// An audit lists the keys of every service: what it costs sets its pace, not what is linked.
    @Test func auditsAreAsSeldomAsTheWholeRangeIsLarge() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock, layout: Self.layout)
        harness.store.change { $0.strangers = 15_000 }
        try await harness.put("/services-by-node/hostA/redis/a", one)
        try await harness.running {
            try await harness.until([one])
            // The audit, and the watch of the operators' words, which is begun anew as often.
            await clock.untilSleeping { $0.count { $0 == .seconds(60) } == 2 }
            let before = harness.store.faults.lists
            clock.advance(by: .seconds(60))
            // 60 s for 10,000 keys, half of it more for another 5,001; the harness draws no jitter.
            await clock.untilSleeping { $0.contains { $0 > .seconds(30) && $0 < .seconds(31) } }
            #expect(harness.store.faults.lists == before)
            clock.advance(by: .seconds(31))
            try await eventually { harness.store.faults.lists > before }
        }
    }
}
