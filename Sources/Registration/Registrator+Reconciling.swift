// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import Synchronization

// MARK: Reading what stands, writing what should

extension Registrator {
    /// - Parameter heads: what `heads()` has just said.
    /// - Returns: whether some key is in other hands; nil when the store changed meanwhile, so that it has to be read
    ///   again.
    func reconcile(_ heads: [String: RegistryEntry]) async throws(RegistryError) -> Bool? {
        let standing = try await read(heads)
        let now = self.now()
        let plan = planner.withLock { $0.plan(standing: standing, now: now) }
        log.tell(plan.notices, repeated: plan.repeated)
        return try await commit(plan.writes) ? plan.isContested : nil
    }

    /// What stands among our keys and between them, without values: usually one request, and as long as nothing has changed
    /// all that upkeep takes.
    func heads() async throws(RegistryError) -> [String: RegistryEntry] {
        let presences = configuration.layout.nodeRange(configuration.identity.node)
        while true {
            let keys = planner.withLock { $0.keys }
            let ranges = upkeep.withLock { $0 }.ranges(of: keys, presences: presences)
            do throws(RegistryError) {
                let heads = try await heads(in: ranges)
                upkeep.withLock { $0.listed(own: keys.count, all: heads.count) }
                return heads
            } catch {
                guard error.code == .permissionDenied, upkeep.withLock({ $0.refused() }) else { throw error }
            }
        }
    }

    private func heads(in ranges: [RegistryRange]) async throws(RegistryError) -> [String: RegistryEntry] {
        var heads: [String: RegistryEntry] = [:]
        var rest = ranges[...]
        while !rest.isEmpty {
            let results = await withTaskGroup { group in
                for range in rest.prefix(Self.parallelReads) { group.addTask { await self.listed(range) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for result in results {
                for entry in try result.get().entries { heads[entry.key] = entry }
            }
            rest = rest.dropFirst(Self.parallelReads)
        }
        return heads
    }

    private func listed(_ range: RegistryRange) async -> Result<RegistryListing, RegistryError> {
        do throws(RegistryError) {
            return .success(try await store.list(range, keysOnly: true))
        } catch {
            return .failure(error)
        }
    }

    /// What stands under our keys, without those that stand as we left them.
    private func read(
        _ heads: [String: RegistryEntry]
    ) async throws(RegistryError) -> [String: RegistrationPlanner.Standing] {
        let (known, keys) = planner.withLock { $0.reading(heads) }
        var standing = known
        var rest = keys[...]
        while !rest.isEmpty {
            let results = await withTaskGroup { group in
                for key in rest.prefix(Self.parallelReads) { group.addTask { await (key, self.read(key)) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
            for (key, result) in results { standing[key] = try result.get() }
            rest = rest.dropFirst(Self.parallelReads)
        }
        return standing
    }

    private func read(_ key: String) async -> Result<RegistrationPlanner.Standing, RegistryError> {
        do throws(RegistryError) {
            let entry = try await store.list(.key(key)).entries.first
            var isAlive = false
            if let lease = entry?.lease, !planner.withLock({ $0.isOwn(lease) }) {
                isAlive = try await store.remaining(of: lease) != nil
            }
            return .success(RegistrationPlanner.Standing(entry, isLeaseAlive: isAlive))
        } catch {
            return .failure(error)
        }
    }

    /// Enough to look at a hundred keys within a few round trips, few enough to leave the connection to others.
    private static let parallelReads = 32

    /// The deletes first, which a full store takes too; in transactions of as many writes as the store takes.
    /// - Returns: whether every guard held.
    func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Bool {
        let deletes = writes.filter { $0.operation == .delete }
        let puts = writes.filter { $0.operation != .delete }
        for var rest in [deletes[...], puts[...]] {
            while !rest.isEmpty {
                let batch = Array(rest.prefix(Self.batch))
                guard let revision = try await store.commit(batch) else { return false }
                let now = self.now().elapsed
                let (notices, isWithdrawing) = planner.withLock {
                    ($0.committed(batch, revision: revision, at: now), $0.isWithdrawing)
                }
                if !isWithdrawing { log.tell(notices) }
                rest = rest.dropFirst(batch.count)
            }
        }
        return true
    }

    /// etcd's default limit of operations in a transaction.
    private static let batch = 128

    /// Without the words before: a store that takes no value takes a delete.
    func removeLeaving() async {
        for write in planner.withLock({ $0.removals(wantedToo: false) }) { _ = try? await commit([write]) }
    }

    /// Waits for something to change among the registrators of our node.
    func untilNodeChanges(after revision: Int64, atMost limit: Duration) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [clock] in try await clock.sleep(for: limit) }
            group.addTask { [self] in
                let range = configuration.layout.nodeRange(configuration.identity.node)
                do {
                    try await store.withWatch(range, from: revision + 1) { events in
                        for try await _ in events { return }
                    }
                } catch {
                    try await clock.sleep(for: limit)
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
