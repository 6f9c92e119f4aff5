// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Synchronization
import TestSupport
import Testing

/// A connection through a relay, an end of which vanishes: not a word of it arrives any more, nor any word at it.
final class VanishScene: Sendable {
    /// What the relay has to do with the end that vanishes.
    enum Traffic: String, Sendable {
        case idle
        /// The other side sends, and the end takes it.
        case underWay
        /// The other side sends, and the end has stopped to take it.
        case behindAClosedWindow
    }

    /// Of a connection whose peer vanished (docs/promises.md, "The relay").
    private static let freed = Duration.seconds(40)

    private let traffic: Traffic
    private let ends = Recorder<TCPConnection>()
    private let failures = Recorder<SocketFailure?>()
    private let isOver = Mutex(false)

    private init(_ traffic: Traffic) { self.traffic = traffic }

    /// The relay is to free the connection in time, and to reset its other side.
    static func isFreed(_ vanishing: RelayEndTests.Side, _ traffic: Traffic) async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let scene = VanishScene(traffic)
            defer { scene.isOver.withLock { $0 = true } }
            let backend = try await faults.backend(1) { connection in
                vanishing == .instance ? scene.vanish(connection) : scene.stay(connection)
            }
            let forward = try await faults.forward([backend.endpoint], ["--workers", "1"])
            let before = try await forward.process.settledDescriptors()
            let limit: Duration = vanishing == .client ? .milliseconds(200) : freed * 5
            let client = try await faults.connect(forward, limit: limit)
            startThread { vanishing == .client ? scene.vanish(client) : scene.stay(client) }

            let end = try await scene.ends.first(1, "the connection")[0]
            try await waitFor("both sides") { backend.openConnections == 1 }
            if traffic == .behindAClosedWindow { try await forward.process.rest() }
            try await faults.cut(end)
            let start = ContinuousClock.now
            #expect(scene.failures.all.isEmpty)
            let failure = try await scene.failures.first(1, "the other side's end", within: freed * 3)[0]
            report(ContinuousClock.now - start, "D6: \(traffic), the \(vanishing) vanished", promise: freed)
            #expect(failure?.isReset == true, "\(String(describing: failure))")
            try await waitFor("its descriptors to be closed") { try forward.process.descriptorCount == before }
        }
    }

    /// The end that vanishes.
    private func vanish(_ connection: TCPConnection) {
        ends.record(connection)
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while !isOver.withLock({ $0 }) {
            if traffic == .behindAClosedWindow {
                blockThread(for: .milliseconds(20))
            } else {
                // It never ends for who has vanished; without bytes, its limit does.
                _ = try? buffer.withUnsafeMutableBytes { try connection.receive(into: $0) }
            }
        }
        connection.reset()
    }

    /// The end that stays.
    private func stay(_ connection: TCPConnection) {
        guard traffic != .idle else { return failures.record(StreamEnd(of: connection).failure) }
        let piece = [UInt8](repeating: 1, count: 64 << 10)
        do {
            while true { try piece.withUnsafeBytes { try connection.send($0) } }
        } catch {
            failures.record(error as? SocketFailure)
        }
    }
}
