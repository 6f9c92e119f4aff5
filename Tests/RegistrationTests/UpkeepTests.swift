// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import TestSupport
import Testing

/// What a registrator asks of the store when there is nothing to be done.
@Suite(.timeLimit(.minutes(1))) struct UpkeepTests {
    private static let services = ["redis", "pg", "shop/web"]
    private static let names = (0..<20).map { "i\($0)" }

    private static func keys() -> [String] {
        services.flatMap { service in names.map { "/services/\(service)/\($0)" } }
    }

    /// - Returns: what is listed at the next upkeep, once all stands.
    private func upkeep(
        _ harness: Harness, _ clock: ManualClock, _ keys: [String] = UpkeepTests.keys()
    ) async throws -> [FaultyStore.Listing] {
        for key in keys { try await harness.untilPublished(key) }
        await clock.untilSleeping { $0.contains(.seconds(30)) }
        let before = harness.store.listed.count
        clock.advance(by: .seconds(30))
        try await eventually { harness.store.listed.count > before }
        await clock.untilSleeping { $0.contains(.seconds(30)) }
        return Array(harness.store.listed.dropFirst(before))
    }

    @Test func sixtyKeysOfThreeServicesTakeOneListingWithoutValues() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: Self.names, services: Self.services)
        try await harness.running {
            let listed = try await upkeep(harness, clock)
            #expect(listed.count == 1 && listed.allSatisfy(\.keysOnly), "\(listed)")
            // And none for each of them before.
            #expect(harness.store.listed.count <= 4, "\(harness.store.listed)")
        }
    }

    @Test func aRoleThatMayNotReadBetweenServicesTakesOneOfEach() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: Self.names, services: Self.services, isConfined: true)
        try await harness.running {
            let listed = try await upkeep(harness, clock)
            #expect(listed.count == 4 && listed.allSatisfy(\.keysOnly), "\(listed)")
        }
    }

    /// One more listing than otherwise, and none that the role of a node has to refuse.
    @Test func belowNodesNothingIsAskedForThatOurNodesRoleMayNotRead() async throws {
        let clock = ManualClock()
        var layout = KeyLayout.standard
        layout.order = .nodeFirst
        let harness = try Harness(clock: clock, instances: Self.names, services: Self.services, layout: layout)
        let keys = Self.keys().map { "/services-by-node/hostA" + $0.dropFirst("/services".count) }
        try await harness.running {
            let listed = try await upkeep(harness, clock, keys)
            #expect(listed.count == 2 && listed.allSatisfy(\.keysOnly), "\(listed)")
            try await harness.delete(keys[7])
            clock.advance(by: .seconds(30))
            try await harness.untilPublished(keys[7])
        }
        let roots = ["/services-by-node/hostA/", "/services-nodes/hostA/"]
        for listing in harness.store.listed {
            #expect(roots.contains { listing.range.isWithin($0) }, "\(listing.range)")
        }
    }

    @Test func whatIsMissingOrChangedIsFoundByIt() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: Self.names, services: Self.services)
        try await harness.running {
            _ = try await upkeep(harness, clock)
            try await harness.delete("/services/pg/i7")
            try await harness.put("/services/shop/web/i19", node: "hostA")
            clock.advance(by: .seconds(30))
            try await harness.untilPublished("/services/pg/i7")
            try await harness.untilPublished("/services/shop/web/i19")
            #expect(harness.registrator.statistics().changesUndone == 2)
        }
    }

    /// Who calls itself as we do is read when it comes, and not at each upkeep.
    @Test func aSiblingIsReadOnce() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: Self.names, services: Self.services)
        try await harness.running {
            _ = try await upkeep(harness, clock)
            try await harness.put("/services-nodes/hostA/p2", text: #"{"v":1,"boot":"boot1"}"#)
            let first = try await upkeep(harness, clock)
            #expect(first.map(\.keysOnly) == [true, false], "\(first)")
            let second = try await upkeep(harness, clock)
            #expect(second.map(\.keysOnly) == [true], "\(second)")
        }
    }
}

@Suite struct UpkeepRangesTests {
    private let presences = RegistryRange.prefix("/services-nodes/hostA/")
    private let keys = ["/services-nodes/hostA/p1", "/services/b/x", "/services/a/y", "/services/b/a"]

    @Test func oneRangeHoldsAllKeysAndAllSiblings() {
        let ranges = UpkeepRanges().ranges(of: keys, presences: presences)
        #expect(ranges == [.span(from: "/services-nodes/hostA/", before: "/services/b/x\0")])
        for key in keys + ["/services-nodes/hostA/", "/services-nodes/hostA/zz"] { #expect(ranges[0].contains(key)) }
        #expect(!ranges[0].contains("/services/b/xa") && !ranges[0].contains("/services-nodes/hostA"))
    }

    @Test func withoutInstancesItIsTheSiblingsAlone() {
        #expect(UpkeepRanges().ranges(of: [keys[0]], presences: presences) == [presences])
    }

    @Test func manyForeignKeysAreNotListedAgain() {
        var upkeep = UpkeepRanges()
        upkeep.listed(own: 4, all: 4 + UpkeepRanges.mostForeign)
        #expect(upkeep.ranges(of: keys, presences: presences).count == 1)
        upkeep.listed(own: 4, all: 5 + UpkeepRanges.mostForeign)
        let ranges = upkeep.ranges(of: keys, presences: presences)
        #expect(
            ranges == [
                presences, .span(from: "/services/a/y", before: "/services/a/y\0"),
                .span(from: "/services/b/a", before: "/services/b/x\0"),
            ])
        #expect(keys.allSatisfy { key in ranges.contains { $0.contains(key) } })
    }

    @Test func keysBelowARootOfTheirOwnAreListedApart() {
        var upkeep = UpkeepRanges(apart: ["/services-by-node/"])
        let keys = ["/services-nodes/hostA/p1", "/services-by-node/hostA/b/x", "/services-by-node/hostA/a/y"]
        #expect(
            upkeep.ranges(of: keys, presences: presences) == [
                presences, .span(from: keys[2], before: keys[1] + "\0"),
            ])
        #expect(upkeep.ranges(of: keys + ["/services/a/y"], presences: presences).count == 2)
        _ = upkeep.refused()
        #expect(upkeep.ranges(of: keys, presences: presences).count == 3)
    }

    @Test func aSecondRefusalIsFinal() {
        var upkeep = UpkeepRanges()
        let isFirst = upkeep.refused()
        let isSecond = upkeep.refused()
        #expect(isFirst && !isSecond)
    }
}

extension RegistryRange {
    /// Whether a role that may read everything with this prefix may list it: the keys of ours end in ASCII.
    fileprivate func isWithin(_ prefix: String) -> Bool {
        switch self {
        case .key(let key), .prefix(let key): key.hasPrefix(prefix)
        case .span(let first, let end): first.hasPrefix(prefix) && end.hasPrefix(prefix)
        }
    }
}
