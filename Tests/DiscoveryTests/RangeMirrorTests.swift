// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Testing

/// Ranges as they stand, also after the registry was away.
@Suite(.timeLimit(.minutes(1))) struct RangeMirrorTests {
    private static let services = KeyLayout.standard.servicesRange
    private static let nodes = KeyLayout.standard.nodesRange

    private let memory = MemoryStore(historyLimit: 1)

    private func put(_ key: String, _ value: String?) async throws {
        let operation: RegistryWrite.Operation = value.map { .put(Array($0.utf8), lease: nil) } ?? .delete
        _ = try await memory.commit([RegistryWrite(key: key, condition: .none, operation: operation)])
    }

    private func keys(_ mirror: RangeMirror, _ range: RegistryRange) -> [String]? {
        mirror.listings?[range]?.entries.map(\.key)
    }

    private func running(
        _ store: FaultyStore, _ body: (RangeMirror) async throws -> Void
    ) async throws {
        let mirror = RangeMirror(store: store, ranges: [Self.services, Self.nodes], changes: Signal())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await mirror.run() }
            try await body(mirror)
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    @Test func followsPutsDeletesAndWhatACompactionHid() async throws {
        try await put("/services/a/1", "x")
        try await running(FaultyStore(memory)) { mirror in
            try await eventually { keys(mirror, Self.services) == ["/services/a/1"] }
            try await put("/services/a/0", "x")
            try await put("/services-nodes/n/p", "x")
            try await eventually { keys(mirror, Self.services) == ["/services/a/0", "/services/a/1"] }
            try await eventually { keys(mirror, Self.nodes) == ["/services-nodes/n/p"] }
            memory.compact()
            try await put("/services/a/0", nil)
            memory.compact()
            try await put("/services/a/2", "x")
            try await eventually { keys(mirror, Self.services) == ["/services/a/1", "/services/a/2"] }
        }
    }

    @Test func keysThatLookTheSameAreTwo() async throws {
        try await put("/services/a/\u{e9}", "x")
        try await running(FaultyStore(memory)) { mirror in
            try await eventually { keys(mirror, Self.services)?.count == 1 }
            try await put("/services/a/e\u{301}", "x")
            try await eventually { keys(mirror, Self.services)?.count == 2 }
            try await put("/services/a/\u{e9}", nil)
            try await eventually {
                keys(mirror, Self.services).map { $0.map { Array($0.utf8) } } == [Array("/services/a/e\u{301}".utf8)]
            }
        }
    }

    @Test func saysNothingBeforeAllIsReadAndKeepsWhatItHas() async throws {
        let store = FaultyStore(memory)
        store.change { $0.list = .unavailable }
        try await put("/services/a/1", "x")
        try await running(store) { mirror in
            try await eventually { store.faults.lists > 3 }
            #expect(mirror.listings == nil)
            store.change { $0.list = nil }
            try await eventually { keys(mirror, Self.services) == ["/services/a/1"] }
        }
    }

    /// Who may not read who the registrators are is shown the rest.
    @Test func whatMayNotBeReadIsEmpty() async throws {
        let store = FaultyStore(memory)
        store.change { $0.denied = Self.nodes }
        try await put("/services/a/1", "x")
        try await running(store) { mirror in
            try await eventually { keys(mirror, Self.services) == ["/services/a/1"] && keys(mirror, Self.nodes) == [] }
        }
    }
}
