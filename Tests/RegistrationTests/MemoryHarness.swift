// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

/// Looks at what stands in a memory store, and writes there as others do.
protocol MemoryHarness: Sendable {
    /// Of the instance that most tests are about.
    static var key: String { get }
    var memory: MemoryStore { get }
}

extension MemoryHarness {
    func entry(_ key: String = Self.key) async throws -> RegistryEntry? {
        try await memory.list(.key(key)).entries.first
    }

    func record(_ key: String = Self.key) async throws -> InstanceRecord? {
        try await entry(key).map { try InstanceRecord(decoding: $0.value) }
    }

    /// Puts as `etcdctl put` does, or under a lease that somebody else keeps.
    func put(_ key: String = Self.key, node: String?, lease: RegistryLease? = nil) async throws {
        var record = InstanceRecord(endpoint: try #require(Endpoint("10.66.0.1:1")))
        record.node = node
        try await put(key, text: String(decoding: record.encoded(), as: UTF8.self), lease: lease)
    }

    func put(_ key: String, text: String, lease: RegistryLease? = nil) async throws {
        let write = RegistryWrite(key: key, condition: .none, operation: .put(Array(text.utf8), lease: lease))
        _ = try #require(try await memory.commit([write]))
    }

    func delete(_ key: String) async throws {
        _ = try await memory.commit([RegistryWrite(key: key, condition: .none, operation: .delete)])
    }

    /// Waits until the key stands as `condition` wants it. - Returns: how it stands.
    @discardableResult
    func until(
        _ key: String = Self.key, _ condition: (InstanceRecord, RegistryEntry) -> Bool
    ) async throws -> RegistryEntry {
        let start = memory.health.revision
        if let entry = try await entry(key), let record = try? InstanceRecord(decoding: entry.value),
            condition(record, entry)
        {
            return entry
        }
        return try await memory.withWatch(.key(key), from: start + 1) { events in
            for try await case .changes(_, let changes) in events {
                for case .upsert(let entry) in changes {
                    if let record = try? InstanceRecord(decoding: entry.value), condition(record, entry) {
                        return entry
                    }
                }
            }
            throw CancellationError()
        }
    }

    @discardableResult
    func untilPublished(_ key: String = Self.key) async throws -> RegistryEntry {
        try await until(key) { record, entry in record.node == "hostA" && record.state == .up && entry.lease != nil }
    }

    /// All that happened to the keys of a range, in order: `up`, `draining` or `gone`, with the key.
    func history(_ range: RegistryRange, from revision: Int64) async throws -> [String] {
        let end = "/end-of-history"
        try await put(end, text: "")
        return try await memory.withWatch(.prefix(""), from: revision) { events in
            var seen: [String] = []
            for try await case .changes(_, let changes) in events {
                for change in changes {
                    if change.key == end { return seen }
                    guard range.contains(change.key) else { continue }
                    switch change {
                    case .remove(let key): seen.append("gone \(key)")
                    case .upsert(let entry):
                        let state = (try? InstanceRecord(decoding: entry.value))?.state
                        seen.append("\(state?.rawValue ?? "there") \(entry.key)")
                    }
                }
            }
            return seen
        }
    }
}
