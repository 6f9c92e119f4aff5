// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
package import ServiceModel
import Synchronization

/// A TCP proxy of the tests' own between two real programs, which does to the bytes of either direction what a bad
/// network does: where the kernel has no netem, nothing else can.
///
/// ## Concurrency
/// A thread accepts and two threads a connection carry bytes, as those of a `Backend`; faults may be set from anywhere,
/// and hold for what comes later, on open connections too; a stall ends within `lookInterval`.
package final class FaultProxy: Sendable {
    package enum Direction: Hashable, Sendable, CaseIterable {
        /// From who connected.
        case up
        /// From the target.
        case down
    }

    /// Who carries bytes looks at the faults at least as often, also when no byte comes.
    static let lookInterval = Duration.milliseconds(20)

    private let backend: Backend
    private let carrier: FaultCarrier

    /// Listens at once; each connection is carried to `target`.
    package init(to target: Endpoint, on address: IPAddress = .loopbackV4) throws {
        let carrier = FaultCarrier(target: target)
        self.carrier = carrier
        backend = try Backend(on: address) { try carrier.carry($0) }
    }

    package var endpoint: Endpoint { backend.endpoint }
    package var openConnections: Int { backend.openConnections }

    /// What goes wrong from now on.
    package func set(_ direction: Direction, _ faults: LineFaults = LineFaults()) { carrier.set(direction, faults) }

    /// The same for both directions.
    package func setBoth(_ faults: LineFaults = LineFaults()) {
        for direction in Direction.allCases { set(direction, faults) }
    }

    /// Resets both sides of every connection that is open.
    package func resetAll() { carrier.breakAll() }

    /// Stops listening and resets every connection.
    package func close() {
        backend.close()
        resetAll()
    }
}

/// Carries the connections of a fault proxy.
private final class FaultCarrier: Sendable {
    private struct State {
        var faults: [FaultProxy.Direction: LineFaults] = [:]
        /// Connections of an earlier number are to be reset.
        var firstWhole = 0
        var next = 0
    }

    private let target: Endpoint
    private let state = Mutex(State())

    init(target: Endpoint) { self.target = target }

    func set(_ direction: FaultProxy.Direction, _ faults: LineFaults) {
        state.withLock { $0.faults[direction] = faults }
    }

    func breakAll() { state.withLock { $0.firstWhole = $0.next } }

    /// - Throws: when the connection is to be reset.
    func carry(_ client: TCPConnection) throws {
        let number = state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
        let server = try TCPConnection.connect(to: target)
        let failure = Mutex<(any Error)?>(nil)
        let pass = { @Sendable (direction: FaultProxy.Direction) in
            do {
                let (source, sink) = direction == .up ? (client, server) : (server, client)
                var line = FaultLine(from: source, to: sink)
                while failure.withLock({ $0 == nil }) {
                    let faults = { () throws(SocketFailure) in try self.faults(of: direction, for: number) }
                    guard try line.turn(faults) else { break }
                }
            } catch {
                failure.withLock { $0 = error }
            }
        }
        concurrently {
            pass(.up)
        } and: {
            pass(.down)
        }
        if let failure = failure.withLock({ $0 }) {
            server.reset()
            throw failure
        }
        server.close()
    }

    private func faults(
        of direction: FaultProxy.Direction, for number: Int
    ) throws(SocketFailure) -> LineFaults {
        let (faults, isWhole) = state.withLock { ($0.faults[direction], number >= $0.firstWhole) }
        guard isWhole else { throw SocketFailure("carry", ECONNRESET) }
        return faults ?? LineFaults()
    }
}
