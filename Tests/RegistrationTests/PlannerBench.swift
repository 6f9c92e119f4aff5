// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry

/// A planner and the store that it plans for, without any task: every step is the test's.
struct PlannerBench {
    enum Fault: CaseIterable {
        case none
        /// The store does nothing and nobody says so.
        case lost
        /// The store does it and nobody says so.
        case unanswered
    }

    static let drainTime = Duration.seconds(1)

    var planner = RegistrationPlanner(
        layout: .standard, identity: Fixture.identity(), drainTime: Self.drainTime, wanted: [])
    var entries: [String: RegistryEntry] = [:]
    var livingLeases: Set<RegistryLease> = []
    /// Every write that the store has taken.
    var taken: [RegistryWrite] = []
    var elapsed = Duration.zero
    private var revision: Int64 = 0
    private var leases: Int64 = 0
    private(set) var lease = RegistryLease(-1)
    /// Of the last pass.
    private(set) var isContested = false

    init() { grant() }

    mutating func want(_ wanted: [Wanted]) { planner.wantedChanged(to: wanted, at: elapsed) }

    mutating func grant() {
        leases += 1
        lease = RegistryLease(leases)
        livingLeases.insert(lease)
        planner.leaseGranted(lease)
    }

    mutating func loseLease() {
        livingLeases.remove(lease)
        entries = entries.filter { $0.value.lease != lease }
        planner.leaseLost()
    }

    /// What the registrator does between two waits.
    /// - Returns: what is told.
    @discardableResult
    mutating func pass(_ fault: Fault = .none) -> [RegistrationPlanner.Notice] {
        var (standing, keys) = planner.reading(entries)
        for key in keys {
            let entry = entries[key]
            let isAlive = entry?.lease.map(livingLeases.contains) ?? false
            standing[key] = .init(entry, isLeaseAlive: isAlive)
        }
        let plan = planner.plan(standing: standing, now: .init(elapsed, "t\(elapsed.components.seconds)"))
        isContested = plan.isContested
        guard fault != .lost, !plan.writes.isEmpty else { return plan.notices }
        guard let revision = commit(plan.writes), fault == .none else { return plan.notices }
        return plan.notices + planner.committed(plan.writes, revision: revision, at: elapsed)
    }

    /// - Returns: the revision; nil when a guard did not hold.
    mutating func commit(_ writes: [RegistryWrite]) -> Int64? {
        // etcd refuses a transaction that writes a key twice.
        precondition(Set(writes.map(\.key)).count == writes.count, "a key twice in one plan")
        let areAllowed = writes.allSatisfy { write in
            switch write.condition {
            case .absent: entries[write.key] == nil
            case .unchanged(let revision): entries[write.key]?.modRevision == revision
            case .none: true
            }
        }
        guard areAllowed else { return nil }
        revision += 1
        for write in writes {
            switch write.operation {
            case .delete: entries[write.key] = nil
            case .put(let value, let lease):
                entries[write.key] = RegistryEntry(key: write.key, value: value, modRevision: revision, lease: lease)
            }
        }
        taken += writes
        return revision
    }

    func record(_ key: String = Harness.key) -> InstanceRecord? {
        entries[key].flatMap { try? InstanceRecord(decoding: $0.value) }
    }

    /// All instances that stand: address and state by key.
    var instances: [String: String] {
        entries.keys.filter { $0.hasPrefix("/services/") }.reduce(into: [:]) { found, key in
            found[key] = record(key).map { "\($0.endpoint) \($0.state)" } ?? "unreadable"
        }
    }

    /// What the instances' keys were made to say since the last call: `up 1.2.3.4:5`, `draining …` or `gone`.
    mutating func takeHistory() -> [String] {
        defer { taken = [] }
        return taken.compactMap { write in
            guard write.key.hasPrefix("/services/") else { return nil }
            guard case .put(let value, _) = write.operation else { return "gone" }
            return (try? InstanceRecord(decoding: value)).map { "\($0.state) \($0.endpoint)" }
        }
    }
}
