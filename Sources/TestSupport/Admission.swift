// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization

/// How much of the machine a test takes. All tests start at once and most of them wait for timers of the system under
/// test; only those that compute are kept from running all at the same time, which would turn every promise into noise.
package enum Load: Sendable {
    /// Mostly waits (for a lease, an upkeep, a hold): always let in.
    case waiting
    /// Seconds of ordinary work.
    case short
    /// Takes whatever the machine has: alone of its kind.
    case heavy
    /// A cluster of etcd: mostly waits, but takes 400 MB of memory at once, 128 for each member's log.
    case cluster
    /// Hosts with an engine each: containers start, stop and wait, two such tests at a time.
    case lab
    /// Bringing up a real part, which costs about half a second of processor time.
    case start

    private static let gates: [Load: Gate] = [
        .short: Gate(4), .heavy: Gate(1), .cluster: Gate(8), .lab: Gate(2), .start: Gate(3),
    ]

    /// Runs `body` once there is room for this kind of load.
    package func admitted<Result>(_ body: () async throws -> Result) async throws -> Result {
        guard let gate = Self.gates[self] else { return try await body() }
        while !gate.enter() { try await Task.sleep(for: .milliseconds(10)) }
        defer { gate.leave() }
        return try await body()
    }

    /// Counts who is inside.
    private final class Gate: Sendable {
        private let room: Mutex<Int>

        init(_ room: Int) { self.room = Mutex(room) }

        func enter() -> Bool {
            room.withLock { room in
                guard room > 0 else { return false }
                room -= 1
                return true
            }
        }

        func leave() { room.withLock { $0 += 1 } }
    }
}
