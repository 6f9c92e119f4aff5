// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// `etcdctl del --prefix` over many services of one instance each is nobody's word about any of them.
@Suite(.timeLimit(.minutes(1))) struct DeletesTests {
    private func endpoint(_ number: Int) -> Endpoint { TableHarness.endpoint(number) }

    /// - Parameter count: 65 share one watch, fewer have one each.
    private func withServices(
        _ count: Int, _ body: (WatcherHarness, [String]) async throws -> Void
    ) async throws {
        let names = (1...count).map { "s\($0)" }
        let harness = try WatcherHarness(services: names)
        harness.prober.accept((1...count).map(endpoint))
        try await harness.put((1...count).map { ("/services/s\($0)/a", endpoint($0)) })
        try await harness.running {
            for number in 1...count { try await harness.until([endpoint(number)], of: "s\(number)") }
            try await body(harness, names)
        }
    }

    @Test(arguments: [10, 65])
    func oneRevisionOverManyServicesHoldsThemAll(_ count: Int) async throws {
        try await withServices(count) { harness, names in
            _ = try await harness.memory.commit(
                names.map { RegistryWrite(key: "/services/\($0)/a", condition: .none, operation: .delete) })
            try await eventually {
                harness.watcher.report().allSatisfy { $0.instances.map(\.state) == [.held] }
            }
            for number in 1...count { try await harness.until([endpoint(number)], of: "s\(number)") }
        }
    }

    @Test(arguments: [10, 65])
    func oneDeleteAmongManyServicesIsMeant(_ count: Int) async throws {
        try await withServices(count) { harness, _ in
            try await harness.delete("/services/s2/a")
            try await harness.until([], of: "s2")
            // Of another revision.
            try await harness.delete("/services/s3/a")
            try await harness.until([], of: "s3")
            #expect(harness.prober.asked.isEmpty)
        }
    }

    @Test func aDeleteThatTurnsOutToBeOneOfManyIsNotMeant() throws {
        var harness = try TableHarness()
        harness.accepting.insert(TableHarness.endpoint(1))
        harness.put("1", TableHarness.value(TableHarness.endpoint(1)))
        harness.delete("1")
        #expect(harness.used == [])
        harness.act(harness.table.deletedWithOthers(at: harness.revision, now: harness.now))
        harness.answer()
        #expect(harness.used == [1] && harness.names(.held) == ["1"])
    }

    @Test func aDeleteWhoseLeaseIsAskedAboutIsNotMeantEither() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.delete("1")
        #expect(harness.leaseQuestions.count == 1 && harness.used == [1])
        harness.act(harness.table.deletedWithOthers(at: harness.revision, now: harness.now))
        harness.answer()
        #expect(harness.used == [1] && harness.names(.held) == ["1"], "the answer about its lease comes too late")
    }

    /// Two services may be read from one place: each is told of the same key.
    @Test func oneKeyOfTwoServicesIsOneDelete() async throws {
        let source = EntrySource(prefix: "/db")
        let (one, two) = (try #require(ServiceName("one")), try #require(ServiceName("two")))
        let harness = try WatcherHarness(services: ["one", "two"], sources: [one: source, two: source])
        harness.prober.accept([endpoint(1)])
        try await harness.put("/db/a", endpoint(1))
        try await harness.running {
            for name in ["one", "two"] { try await harness.until([endpoint(1)], of: name) }
            try await harness.delete("/db/a")
            for name in ["one", "two"] { try await harness.until([], of: name) }
        }
        #expect(harness.prober.asked.isEmpty)
    }
}
