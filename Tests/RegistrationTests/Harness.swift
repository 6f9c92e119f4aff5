// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import FoundationEssentials
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// A registrator over a memory store, with all that its tests look at.
struct Harness: MemoryHarness {
    static let key = "/services/redis/i0"
    static let presence = "/services-nodes/hostA/p1"

    let memory: MemoryStore
    let store: FaultyStore
    let log = LogRecorder()
    let registrator: Registrator

    /// - Parameter clock: nil for the real one.
    init(
        memory: MemoryStore = MemoryStore(), clock: ManualClock? = nil, identity: NodeIdentity = Fixture.identity(),
        instances: [String] = ["i0"], services: [String] = ["redis"], drainTime: Duration = .milliseconds(100),
        grants: Bool = true, isConfined: Bool = false, layout: KeyLayout = .standard,
        _ change: (inout RegistratorConfiguration) -> Void = { _ in }
    ) throws {
        self.memory = memory
        store = FaultyStore(memory, grants: grants, isConfined: isConfined)
        var configuration = RegistratorConfiguration(layout: layout, identity: identity)
        configuration.drainTime = drainTime
        change(&configuration)
        registrator = Registrator(
            store: store, configuration: configuration,
            registrations: try services.flatMap { service in
                try instances.map { try Fixture.registration(instance: $0, service: service) }
            }, logger: log.logger,
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

    /// The same on a clock that stands still until `draining` is said, for its limit is what a busy machine may take: only
    /// the drain time passes.
    /// - Parameter drainTime: the harness's, under 300 ms, which is the limit.
    func withdrawing(_ clock: ManualClock, _ drainTime: Duration, _ body: () async throws -> Void) async throws {
        precondition(drainTime > .zero && drainTime < .milliseconds(300))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registrator.run() }
            try await body()
            registrator.withdraw()
            await clock.untilSleeping { $0.contains(drainTime) }
            clock.advance(by: drainTime)
            try await group.waitForAll()
        }
    }
}

/// Waits for what no event tells of; the test's time limit ends it.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
