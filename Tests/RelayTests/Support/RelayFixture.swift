// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Synchronization
import Testing

@testable import Relay

/// An engine that runs, with one link on a loopback port.
final class RelayFixture: Sendable {
    let engine: RelayEngine
    let link = Link(id: Link.ID(0), name: "test")
    let endpoint: Endpoint
    private let seen = Mutex<[RelayEvent]>([])
    private let sequence = Mutex<UInt64>(0)

    init(_ configuration: RelayConfiguration, policy: LinkPolicy = LinkPolicy()) throws {
        engine = try RelayEngine(configuration: configuration)
        let sockets = try ListeningSockets.bind(
            Endpoint(.loopbackV4, port: 0), dualStack: false, count: configuration.workers
        )
        endpoint = try ListeningSockets.boundEndpoint(of: sockets.numbers[0])
        engine.open(link, listeners: sockets, policy: policy)
    }

    /// Gives the link these backends, with slots in order and all of the same generation.
    func apply(_ endpoints: [Endpoint], generation: UInt32 = 1, firstSlot: UInt32 = 0) {
        let instances = endpoints.enumerated().map { index, endpoint in
            Instance(id: InstanceID(slot: firstSlot + UInt32(index), generation: generation), endpoint: endpoint)
        }
        let number = sequence.withLock { sequence in
            sequence += 1
            return sequence
        }
        engine.apply(EndpointSnapshot(sequence: number, instances: instances), to: link.id)
    }

    func apply(_ backends: TestBackend...) { apply(backends.map(\.endpoint)) }

    func connect() throws -> TestSocket { try TestSocket(connectedTo: endpoint) }

    /// How a new connection ends. connect(2) itself says so when the reset is quicker than its caller.
    func endOfANewConnection() throws -> StreamEnd {
        do {
            return try connect().end()
        } catch let error as SyscallError where error.number == ECONNRESET {
            return .reset
        }
    }

    /// A client, and the backend's end of its connection.
    func connectedPair(to backend: TestBackend) throws -> (client: TestSocket, backend: TestSocket) {
        let client = try connect()
        return (client, try backend.accept())
    }

    /// All events up to now.
    func events() -> [RelayEvent] {
        seen.withLock { seen in
            engine.events.drain { seen.append($0) }
            return seen
        }
    }

    var ends: [ConnectionEnd] {
        events().compactMap { event in if case .connectionEnded(let end) = event { end } else { nil } }
    }

    var connectFailures: [ConnectFailure] {
        events().compactMap { event in if case .connectFailed(let failure) = event { failure } else { nil } }
    }

    var ejections: [InstanceEjection] {
        events().compactMap { event in if case .instanceEjected(let ejection) = event { ejection } else { nil } }
    }

    /// Slots of instances that were picked again after an ejection, in order.
    var returns: [UInt32] {
        events().compactMap { event in if case .instanceReturned(_, let id) = event { id.slot } else { nil } }
    }

    func awaitEnds(_ count: Int) throws -> [ConnectionEnd] {
        try eventually("\(count) connections ended") { ends.count >= count }
        return ends
    }

    var totals: RelayStatistics.Totals {
        engine.statistics().links.first { $0.link == link.id } ?? RelayStatistics.Totals(link: link.id)
    }
}

/// Runs `body` on a thread of its own beside a running relay, and stops the relay after it.
func withRelay(
    workers: Int = 1, maxConnections: Int? = nil, retry: RetryPolicy = RetryPolicy(),
    ejection: EjectionPolicy = EjectionPolicy(), splicing: SplicePolicy = SplicePolicy(),
    limits: ConnectionLimits = ConnectionLimits(), eventCapacity: Int = 4096, policy: LinkPolicy = LinkPolicy(),
    _ body: @escaping @Sendable (RelayFixture) throws -> Void
) async throws {
    let configuration = RelayConfiguration(
        workers: workers, maxConnections: maxConnections, retry: retry, ejection: ejection, splicing: splicing,
        limits: limits, eventCapacity: eventCapacity
    )
    let fixture = try RelayFixture(configuration, policy: policy)
    async let running: Void = fixture.engine.run()
    let result: Result<Void, any Error>
    do {
        result = .success(try await onThread { try body(fixture) })
    } catch {
        result = .failure(error)
    }
    fixture.engine.shutdown(deadline: .now)
    try await running
    try result.get()
    #expect(fixture.engine.statistics().openConnections == 0)
}
