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
    /// Where clients connect to.
    let address: InstanceAddress
    private let seen = Mutex<[RelayEvent]>([])
    private let sequence = Mutex<UInt64>(0)

    /// - Parameter path: of a Unix socket to listen on, instead of a loopback port.
    init(_ configuration: RelayConfiguration, policy: LinkPolicy = LinkPolicy(), path: UnixPath? = nil) throws {
        engine = try RelayEngine(configuration: configuration)
        if let path {
            address = .unix(path)
            engine.open(link, listeners: try ListeningSockets.bind(path), policy: policy)
            return
        }
        let sockets = try ListeningSockets.bind(
            Endpoint(.loopbackV4, port: 0), dualStack: false, count: configuration.workers
        )
        address = .network(try ListeningSockets.boundEndpoint(of: sockets.numbers[0]))
        engine.open(link, listeners: sockets, policy: policy)
    }

    /// Gives the link these backends, with slots in order and all of the same generation.
    func apply(_ endpoints: [Endpoint], generation: UInt32 = 1, firstSlot: UInt32 = 0) {
        apply(addresses: endpoints.map { .network($0) }, generation: generation, firstSlot: firstSlot)
    }

    func apply(addresses: [InstanceAddress], generation: UInt32 = 1, firstSlot: UInt32 = 0) {
        let instances = addresses.enumerated().map { index, address in
            Instance(id: InstanceID(slot: firstSlot + UInt32(index), generation: generation), address: address)
        }
        let number = sequence.withLock { sequence in
            sequence += 1
            return sequence
        }
        engine.apply(EndpointSnapshot(sequence: number, instances: instances), to: link.id)
    }

    func apply(_ backends: TestBackend...) { apply(addresses: backends.map(\.address)) }

    var endpoint: Endpoint {
        guard case .network(let endpoint) = address else { preconditionFailure("a Unix socket has no endpoint") }
        return endpoint
    }

    func connect() throws -> TestSocket { try TestSocket(connectedTo: address) }

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
    path: UnixPath? = nil, _ body: @escaping @Sendable (RelayFixture) throws -> Void
) async throws {
    let configuration = RelayConfiguration(
        workers: workers, maxConnections: maxConnections, retry: retry, ejection: ejection, splicing: splicing,
        limits: limits, eventCapacity: eventCapacity
    )
    let fixture = try RelayFixture(configuration, policy: policy, path: path)
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
