// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// A registrator over a memory store, with all that its tests look at.
struct Harness: Sendable {
    static let key = "/services/redis/i0"
    static let presence = "/services-nodes/hostA/p1"

    let memory: MemoryStore
    let store: FaultyStore
    let log = LogRecorder()
    let registrator: Registrator

    /// - Parameter clock: nil for the real one.
    init(
        memory: MemoryStore = MemoryStore(), clock: ManualClock? = nil, identity: NodeIdentity = Fixture.identity(),
        instances: [String] = ["i0"], drainTime: Duration = .milliseconds(100), grants: Bool = true
    ) throws {
        self.memory = memory
        store = FaultyStore(memory, grants: grants)
        var configuration = RegistratorConfiguration(layout: .standard, identity: identity)
        configuration.drainTime = drainTime
        registrator = Registrator(
            store: store, configuration: configuration,
            registrations: try instances.map { try Fixture.registration(instance: $0) }, logger: log.logger,
            clock: clock ?? ContinuousClock(), wallClock: { Date(timeIntervalSince1970: 1_795_345_200) },
            random: { 0.5 })
    }

    /// Runs the registrator as long as `body`, then cancels it.
    func running(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registrator.run() }
            try await body()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    /// Withdraws, and waits for `run()` to return. - Returns: how long that took.
    func withdrawing(_ body: () async throws -> Void) async throws -> Duration {
        let clock = ContinuousClock()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registrator.run() }
            try await body()
            let start = clock.now
            registrator.withdraw()
            try await group.waitForAll()
            return start.duration(to: clock.now)
        }
    }

    func entry(_ key: String = key) async throws -> RegistryEntry? { try await memory.list(.key(key)).entries.first }

    func record(_ key: String = key) async throws -> InstanceRecord? {
        try await entry(key).map { try InstanceRecord(decoding: $0.value) }
    }

    /// Puts as `etcdctl put` does, or under a lease that somebody else keeps.
    func put(_ key: String = key, node: String?, lease: RegistryLease? = nil) async throws {
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
        _ key: String = key, _ condition: (InstanceRecord, RegistryEntry) -> Bool
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
    func untilPublished(_ key: String = key) async throws -> RegistryEntry {
        try await until(key) { record, entry in record.node == "hostA" && record.state == .up && entry.lease != nil }
    }

    /// All that happened to the keys of a range, in order: `up`, `draining` or `gone`, with the key.
    func history(_ range: RegistryRange, from revision: Int64) async throws -> [String] {
        let end = "/end-of-history"
        try await put(end, text: "")
        return try await memory.withWatch(.prefix("/"), from: revision) { events in
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

/// Waits for what no event tells of; the test's time limit ends it.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
