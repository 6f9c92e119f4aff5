// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import Synchronization

// MARK: Withdrawing

extension Registrator {
    /// Promised for `draining` (docs/promises.md, "Registration"), so at least this long is spent on it.
    private static let drainingLimit = Duration.milliseconds(300)

    /// `draining`, the drain time, the delete; the lease is revoked by leaving the owner's scope.
    func leave(_ owner: any RegistryOwner) async {
        guard let lease = owner.lease else { return }
        planner.withLock { $0.leaseGranted(lease) }
        let mayStand = planner.withLock { planner in
            planner.withdrawalBegan()
            return planner.mayStand
        }
        guard mayStand else { return }
        // What cannot be said within the drain time need not be waited for: the lease's end says it.
        let limit = max(configuration.drainTime, Self.drainingLimit)
        let isSaid = await limited(limit) { try await self.drain() }
        let own = planner.withLock { $0.standing }
        if isSaid == true { try? await clock.sleep(for: configuration.drainTime) }
        if isSaid != nil { await limited(Self.drainingLimit) { try await self.remove() } }
        log.withdrawn(own, isInOrder: isSaid == true)
    }

    /// - Returns: whether `draining` was written; false when the store takes no more values but may take deletes.
    private func drain() async throws -> Bool {
        var isFirst = true
        while true {
            do throws(RegistryError) {
                let now = self.now()
                let quick = isFirst ? planner.withLock { $0.drain(now: now) } : []
                isFirst = false
                if !quick.isEmpty, try await commit(quick) { return true }
                if try await reconcile(heads()) != nil { return true }
            } catch {
                if error.code == .outOfSpace { return false }
                if error.code == .cancelled { throw error }
                try await clock.sleep(for: .milliseconds(50))
            }
        }
    }

    /// One transaction each: a newer registration under one key must not keep the others.
    private func remove() async throws {
        for write in planner.withLock({ $0.removals() }) { _ = try await store.commit([write]) }
    }

    /// - Returns: nil when the limit came first or `body` failed.
    @discardableResult
    private func limited<Value: Sendable>(
        _ limit: Duration, _ body: @escaping @Sendable () async throws -> Value
    ) async -> Value? {
        await withTaskGroup(of: Value?.self) { group in
            group.addTask { try? await body() }
            group.addTask { [clock] in
                try? await clock.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
    }
}
