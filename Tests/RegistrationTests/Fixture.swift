// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import ServiceModel
import Synchronization
import TestSupport
import Testing

enum Fixture {
    static func identity(node: String = "hostA", process: String = "p1", boot: String = "boot1") -> NodeIdentity {
        NodeIdentity(
            node: node, address: IPAddress(v4: 0x0a4d_0001), zone: nil, version: "1", boot: boot, process: process)
    }

    static func registration(
        instance: String = "i0", service: String = "redis", at endpoint: String = "10.77.0.1:6379",
        fields: [String] = []
    ) throws -> Registration {
        try Registration(
            service: try #require(ServiceName(service)), endpoint: try #require(Endpoint(endpoint)),
            fields: RecordFields(arguments: fields), instance: instance)
    }
}

/// A store that can be cut off or filled up: the faults that a `MemoryStore` has not.
final class FaultyStore: RegistryStore {
    enum Fault: Sendable {
        case none
        /// Refused at once.
        case error(RegistryError.Code)
        /// No answer until the caller gives up.
        case silence
        /// Done, and no answer until the caller gives up.
        case silenceAfterwards
    }

    let store: MemoryStore
    /// Whether an owner is ever granted a lease.
    private let grants: Bool
    /// Whether listings are refused that reach from one folder into another.
    private let isConfined: Bool
    private let state = Mutex<(reads: Fault, puts: Fault, deletes: Fault, commits: Int)>((.none, .none, .none, 0))
    private let listings = Recorder<Listing>()

    /// What was asked for, also in vain.
    struct Listing: Sendable, Hashable {
        let range: RegistryRange
        let keysOnly: Bool
    }

    init(_ store: MemoryStore, grants: Bool = true, isConfined: Bool = false) {
        self.isConfined = isConfined
        self.store = store
        self.grants = grants
    }

    func fail(reads: Fault = .none, puts: Fault = .none, deletes: Fault = .none) {
        state.withLock { $0 = (reads, puts, deletes, $0.commits) }
    }

    /// Transactions asked for, also in vain.
    var commits: Int { state.withLock { $0.commits } }

    var listed: [Listing] { listings.all }

    private func apply(_ fault: Fault) async throws(RegistryError) {
        switch fault {
        case .none, .silenceAfterwards: return
        case .error(let code): throw RegistryError(code, "injected")
        case .silence:
            try? await Task.sleep(for: .seconds(3600))
            throw RegistryError(.cancelled, "injected silence")
        }
    }

    func run() async throws { try await store.run() }

    func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing {
        listings.record(Listing(range: range, keysOnly: keysOnly))
        if isConfined, range.reachesOverFolders { throw RegistryError(.permissionDenied, "injected") }
        try await apply(state.withLock { $0.reads })
        return try await store.list(range, keysOnly: keysOnly)
    }

    func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64, _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result {
        try await store.withWatch(range, from: revision, body)
    }

    func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        guard grants else {
            let (lifetimes, events) = AsyncStream.makeStream(of: OwnerEvent.self)
            defer { events.finish() }
            return try await body(UngrantedOwner(lifetimes: lifetimes))
        }
        return try await store.withOwner(timeToLive: timeToLive, atEnd: end, body)
    }

    func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64? {
        let isDelete = writes.allSatisfy { $0.operation == .delete }
        let fault = state.withLock { state in
            state.commits += 1
            return isDelete ? state.deletes : state.puts
        }
        try await apply(fault)
        let revision = try await store.commit(writes)
        if case .silenceAfterwards = fault { try await apply(.silence) }
        return revision
    }

    func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration? {
        try await apply(state.withLock { $0.reads })
        return try await store.remaining(of: lease)
    }

    var health: RegistryHealth { store.health }

    private struct UngrantedOwner: RegistryOwner {
        var lease: RegistryLease? { nil }
        let lifetimes: AsyncStream<OwnerEvent>
    }
}

extension RegistryRange {
    fileprivate var reachesOverFolders: Bool {
        guard case .span(let first, let end) = self else { return false }
        func folder(_ key: String) -> Substring? { key.lastIndex(of: "/").map { key[...$0] } }
        return folder(first) != folder(end)
    }
}
