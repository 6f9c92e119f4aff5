// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Foundation
import Logging
import Registry
import ServiceModel
import Synchronization
import TestSupport
import Testing

/// A watcher over a memory store, with backends that accept or not and all that its tests look at.
struct WatcherHarness: Sendable {
    let memory: MemoryStore
    let store: FaultyStore
    let prober = ScriptedProber()
    let log = LogRecorder()
    let seen = SeenSnapshots()
    let own = Mutexed<[Endpoint]>([])
    let watcher: EndpointWatcher

    /// - Parameter clock: nil for the real one.
    init(
        memory: MemoryStore = MemoryStore(), services: [String] = ["redis"], hold: Duration = .seconds(60),
        clock: ManualClock? = nil, holder: DiscoveryConfiguration.Holder? = nil, layout: KeyLayout = .standard,
        lastGood: (any LastGoodStore)? = nil, absences: [ServiceName: AbsencePolicy] = [:],
        sources: [ServiceName: EntrySource] = [:], resolver: (any NameResolver)? = nil,
        wallClock: @escaping @Sendable () -> Date = { Date.now }
    ) throws {
        self.memory = memory
        store = FaultyStore(memory)
        let own = own
        watcher = EndpointWatcher(
            store: store,
            configuration: DiscoveryConfiguration(
                layout: layout, services: try services.map { try #require(ServiceName($0)) }, sources: sources,
                absences: absences, hold: hold,
                holder: holder, resolver: resolver, lastGood: lastGood, ownEndpoints: { own.value },
                released: { _ in true }),
            prober: prober, logger: log.logger, clock: clock ?? ContinuousClock(),
            wallClock: wallClock, random: { 0.5 })
    }

    /// Runs the watcher and collects its snapshots for as long as `body` runs.
    func running(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await watcher.run() }
            group.addTask {
                for await (service, snapshot) in watcher.snapshots { seen.add(snapshot, of: service) }
            }
            try await body()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    func put(_ key: String, _ endpoint: Endpoint, lease: RegistryLease? = nil) async throws {
        try await put([(key, endpoint)], lease: lease)
    }

    /// Puts a value as it stands.
    func put(_ key: String, text: String) async throws {
        let write = RegistryWrite(key: key, condition: .none, operation: .put(Array(text.utf8), lease: nil))
        _ = try await memory.commit([write])
    }

    func put(_ puts: [(String, Endpoint)], lease: RegistryLease? = nil) async throws {
        _ = try await memory.commit(
            puts.map { key, endpoint in
                RegistryWrite(
                    key: key, condition: .none, operation: .put(TableHarness.value(endpoint), lease: lease))
            })
    }

    func delete(_ keys: String...) async throws {
        _ = try await memory.commit(keys.map { RegistryWrite(key: $0, condition: .none, operation: .delete) })
    }

    /// Waits until the newest snapshot of a service has exactly these endpoints.
    func until(_ endpoints: [Endpoint], of service: String = "redis") async throws {
        try await eventually {
            seen.newest(service).map { Set($0.instances.compactMap(\.endpoint)) == Set(endpoints) } ?? false
        }
    }

    func report(_ service: String = "redis") throws -> ServiceReport {
        try #require(watcher.report().first { $0.service.description == service })
    }
}

/// Waits for what no event tells of; the test's time limit ends it.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
}

/// A value that tests change while others read it.
final class Mutexed<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) { state = Mutex(value) }

    var value: Value {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}

final class SeenSnapshots: Sendable {
    private let state = Mutex<[String: [EndpointSnapshot]]>([:])

    func add(_ snapshot: EndpointSnapshot, of service: ServiceName) {
        state.withLock { $0[service.description, default: []].append(snapshot) }
    }

    func all(_ service: String = "redis") -> [EndpointSnapshot] { state.withLock { $0[service] ?? [] } }

    func newest(_ service: String = "redis") -> EndpointSnapshot? { all(service).last }
}

/// Says of each endpoint what it is told to, and remembers who was asked.
final class ScriptedProber: Prober {
    private struct State {
        var accepting: Set<Endpoint> = []
        var asked: [Endpoint] = []
        var underWay = 0
        var mostUnderWay = 0
    }

    private let state = Mutex(State())

    func accept(_ endpoints: [Endpoint]) { state.withLock { $0.accepting = Set(endpoints) } }

    var asked: [Endpoint] { state.withLock { $0.asked } }
    var mostUnderWay: Int { state.withLock { $0.mostUnderWay } }

    func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool {
        state.withLock { state in
            state.asked.append(endpoint)
            state.underWay += 1
            state.mostUnderWay = max(state.mostUnderWay, state.underWay)
        }
        await Task.yield()
        return state.withLock { state in
            state.underWay -= 1
            return state.accepting.contains(endpoint)
        }
    }
}

/// A memory store that fails when told to, and loses what a watch should tell.
final class FaultyStore: RegistryStore {
    struct Faults {
        var list: RegistryError.Code?
        var commit: RegistryError.Code?
        /// Of operators' words.
        var overrides: RegistryError.Code?
        var overridesLists = 0
        /// Whether one member answers although the registry as a whole does not.
        var answersUnconfirmed = false
        /// What may not be read.
        var denied: RegistryRange?
        /// Watches tell nothing.
        var isDeaf = false
        /// Added to the revision of each listing.
        var shift: Int64 = 0
        /// Keys of nobody that are in each listing as well: what so many cost to store is not the point.
        var strangers = 0
        var lists = 0
        var watches = 0
        var ranges: [RegistryRange] = []
        var owners = 0
        var staleSince: ContinuousClock.Instant?
    }

    private let memory: MemoryStore
    private let state = Mutex(Faults())

    init(_ memory: MemoryStore) { self.memory = memory }

    var faults: Faults {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    func change(_ body: (inout Faults) -> Void) { state.withLock { body(&$0) } }

    func run() async throws { try await memory.run() }

    func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing {
        if faults.denied == range { throw RegistryError(.permissionDenied, "told to fail") }
        // Faults and counts are of what is listed of the services.
        if range == KeyLayout.standard.overridesRange {
            state.withLock { $0.overridesLists += 1 }
            if let code = faults.overrides { throw RegistryError(code, "told to fail") }
            return try await memory.list(range, keysOnly: keysOnly)
        }
        state.withLock { $0.lists += 1 }
        if let code = faults.list { throw RegistryError(code, "told to fail") }
        let listing = try await memory.list(range, keysOnly: keysOnly)
        let stranger = RegistryEntry(key: "/services-by-node/stranger", value: [], modRevision: 1, lease: nil)
        let strangers = Array(repeating: stranger, count: faults.strangers)
        return RegistryListing(revision: listing.revision + faults.shift, entries: listing.entries + strangers)
    }

    func listUnconfirmed(_ range: RegistryRange) async throws(RegistryError) -> RegistryListing {
        guard faults.answersUnconfirmed else { throw RegistryError(.unavailable, "told to fail") }
        return try await memory.list(range, keysOnly: false)
    }

    func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64, _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result {
        state.withLock { state in
            // The operators' words are watched beside every service.
            guard range != KeyLayout.standard.overridesRange else { return }
            state.watches += 1
            state.ranges.append(range)
        }
        guard faults.isDeaf else { return try await memory.withWatch(range, from: revision, body) }
        let (stream, continuation) = AsyncThrowingStream.makeStream(of: RegistryEvent.self)
        defer { continuation.finish() }
        return try await body(RegistryEvents(stream))
    }

    func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        state.withLock { $0.owners += 1 }
        return try await memory.withOwner(timeToLive: timeToLive, atEnd: end, body)
    }

    func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64? {
        if let code = faults.commit { throw RegistryError(code, "told to fail") }
        return try await memory.commit(writes)
    }

    func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration? {
        try await memory.remaining(of: lease)
    }

    var health: RegistryHealth {
        var health = memory.health
        health.staleSince = faults.staleSince
        return health
    }
}
