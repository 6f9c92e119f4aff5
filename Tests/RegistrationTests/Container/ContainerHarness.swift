// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import FoundationEssentials
import Registration
import Registry
import ServiceModel
import Synchronization
import TestSupport
import Testing

/// A prober that answers what the test says, and counts.
final class ScriptedProber: Prober {
    private struct State {
        var accepts: @Sendable (Endpoint) -> Bool = { _ in true }
        var asked: [Endpoint] = []
    }

    private let state = Mutex(State())

    func answer(_ accepts: Bool) { answer { _ in accepts } }
    func answer(_ accepts: @escaping @Sendable (Endpoint) -> Bool) { state.withLock { $0.accepts = accepts } }
    /// Since the last `forget()`.
    var asked: [Endpoint] { state.withLock { $0.asked } }
    func forget() { state.withLock { $0.asked = [] } }

    func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool {
        #expect(limit == .seconds(1))
        return state.withLock { state in
            state.asked.append(endpoint)
            return state.accepts(endpoint)
        }
    }
}

/// The addresses of every interface, which a test may change.
final class InterfaceAddresses: Sendable {
    private let state = Mutex<[IPAddress]>([])

    var now: [IPAddress] { state.withLock { $0 } }
    func are(_ addresses: String...) { state.withLock { $0 = addresses.compactMap { IPAddress($0) } } }
}

/// A container's registrator over a memory store, its engine played by the test.
struct ContainerHarness: MemoryHarness {
    static let key = "/services/redis-A/hostA:redis:6379"
    static let drainTime = Duration.seconds(2)

    let memory: MemoryStore
    let store: FaultyStore
    let clock = ManualClock()
    let log = LogRecorder()
    let prober = ScriptedProber()
    let registrar: ContainerRegistrar
    private let updates = AsyncStream.makeStream(of: ContainerUpdate.self)

    /// - Parameters:
    ///   - source: our address towards etcd.
    ///   - interface: the addresses of every interface.
    ///   - rules: of labels, instead of one container.
    ///   - change: what is not as usual.
    ///   - changeClaim: of the one container's claim.
    init(
        memory: MemoryStore = MemoryStore(), node: String? = "hostA", hostName: String? = "host",
        source: String? = "10.77.0.1", interface: InterfaceAddresses = InterfaceAddresses(),
        transport: ContainerPort.Transport = .tcp, rules: LabelRules? = nil,
        _ change: (inout ContainerRegistrarConfiguration) throws -> Void = { _ in },
        claim changeClaim: (inout ContainerClaim) throws -> Void = { _ in }
    ) throws {
        self.memory = memory
        store = FaultyStore(memory)
        var claim = ContainerClaim(
            service: try #require(ServiceName("redis-A")), port: 6379, transport: transport)
        try changeClaim(&claim)
        let selector = ContainerSelector(name: "redis", port: 6379, transport: transport)
        var configuration = ContainerRegistrarConfiguration(
            claims: rules.map { .labelled($0) } ?? .one(selector, claim), layout: .standard, version: "1")
        configuration.drainTime = Self.drainTime
        try change(&configuration)
        let surroundings = NodeIdentity.Surroundings(node: node, hostName: hostName, isContainer: false, bootID: "b")
        registrar = ContainerRegistrar(
            store: store, configuration: configuration, updates: updates.stream,
            host: ContainerRegistrar.Host(
                surroundings: surroundings, addressesOfInterface: { _ in interface.now },
                sourceAddress: { source.flatMap { IPAddress($0) } }),
            prober: prober, logger: log.logger, clock: clock,
            wallClock: { Date(timeIntervalSince1970: 1_795_345_200) }, random: { 0.5 }, process: 1)
    }

    func list(_ containers: Container...) { list(all: containers) }
    func list(all containers: [Container]) { updates.continuation.yield(.listing(containers)) }
    func tell(_ event: ContainerEvent) { updates.continuation.yield(.event(event)) }
    func lose() { updates.continuation.yield(.lost(DockerError(.unreachable, "no answer"))) }
    func endUpdates() { updates.continuation.finish() }

    /// Runs the registrar as long as `body`, then cancels it.
    func running(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registrar.run() }
            try await body()
            group.cancelAll()
            while let result = await group.nextResult() { _ = result }
        }
    }

    /// Nothing is under way, and nothing will be until the next upkeep.
    func idle() async { await clock.untilSleeping { $0.contains(.seconds(30)) } }

    /// Lets time pass as soon as somebody waits for that moment.
    func advance(by duration: Duration) async {
        await clock.untilSleeping { $0.contains(duration) }
        clock.advance(by: duration)
    }

    func untilSaid(_ message: String, _ count: Int = 1) async throws {
        try await eventually { log.count(of: message) >= count }
    }

    /// Waits until it is published there.
    @discardableResult
    func until(_ endpoint: String, _ state: InstanceRecord.State = .up) async throws -> RegistryEntry {
        try await until(Self.key) { record, _ in "\(record.endpoint)" == endpoint && record.state == state }
    }

    func untilGone(_ key: String = Self.key) async throws { try await eventually { try await entry(key) == nil } }

    /// What became of the instances' keys, in order, without the keys.
    func states() async throws -> [String] {
        try await history(.prefix("/services/"), from: 1).map { String($0.prefix { $0 != " " }) }
    }
}
