// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    @Suite struct BackpressureTests {
        @Test func stuckReaderStopsItsWriterAndNobodyElse() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pattern = Pattern(seed: 8)
                let (stuck, stuckServed) = try relay.connectedPair(to: backend)
                stuckServed.setBlocking(false)
                let (written, left) = try pattern.sendUntilFull(on: stuckServed)
                let totals = relay.totals
                let (client, served) = try relay.connectedPair(to: backend)
                let sending = Beside { try pattern.send(32 << 20, on: served) }
                try pattern.expect(32 << 20, on: client)
                try sending.join()
                // The stuck one took nothing meanwhile: neither the relay nor the writer's kernel made room.
                try eventually("all of it counted, and nothing else") {
                    relay.totals.bytesFromBackends == totals.bytesFromBackends + 32 << 20
                }
                #expect(StreamSocket.unacknowledgedBytes(stuckServed.descriptor) == left)
                stuckServed.setBlocking(true)
                let rest = Beside { [pattern] in
                    try pattern.sendPart(from: written, count: 1 << 20, on: stuckServed)
                    stuckServed.endWriting()
                }
                try pattern.expect(written + 1 << 20, on: stuck)
                try rest.join()
            }
        }

        /// What the relay's process holds for readers that never read: at most a buffer each. A process of its own, since
        /// what other tests hold would count.
        @Test func memoryStaysFlatWithReadersThatNeverRead() async throws {
            await #expect(processExitsWith: .success) {
                try await withRelay { relay in
                    let backend = try TestBackend()
                    relay.apply(backend)
                    let pattern = Pattern(seed: 9)
                    // What any process takes once is not the readers'.
                    let first = try relay.connectedPair(to: backend)
                    _ = try pattern.sendUntilFull(on: first.backend)
                    let pairs = try (0..<8).map { _ in try relay.connectedPair(to: backend) }
                    let before = try residentBytes()
                    var written = 0
                    for pair in pairs { written += try pattern.sendUntilFull(on: pair.backend).written }
                    let grown = try residentBytes() - before
                    #expect(written > 8 << 20)
                    // 64 KiB a stuck direction, and something for the process; a sanitizer takes 2.5 MB for itself.
                    let slack = isSanitized ? 4 << 20 : 1 << 20
                    #expect(grown <= 8 * BytePump.bufferBytes + slack, "\(grown) of \(written) bytes")
                    withExtendedLifetime(first) {}
                }
            }
        }

        @Test func moreStuckReadersThanPipesLoseNothing() async throws {
            // Nobody looks whether they read before the end: they would lose their pipes.
            let limits = ConnectionLimits(deadPeer: DeadPeerPolicy(firstLook: .seconds(60)))
            try await withRelay(splicing: SplicePolicy(maxPipes: 2, fullReads: 1), limits: limits) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let pattern = Pattern(seed: 12)
                let pairs = try (0..<5).map { _ in try relay.connectedPair(to: backend) }
                let written = try pairs.map { try pattern.sendUntilFull(on: $0.backend).written }
                try eventually("two are stuck with a pipe") { relay.engine.statistics().openPipes == 2 }
                for (pair, count) in zip(pairs, written) {
                    pair.backend.endWriting()
                    try pattern.expect(count, on: pair.client)
                    pair.client.close()
                }
                #expect(try relay.awaitEnds(5).map(\.bytesFromBackend).sorted() == written.map(UInt64.init).sorted())
            }
        }

        @Test func bothDirectionsStuckAtOnceLoseNothing() async throws {
            try await withRelay { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let (up, down) = (Pattern(seed: 10), Pattern(seed: 11))
                client.setBlocking(false)
                served.setBlocking(false)
                let upWritten = try up.sendUntilFull(on: client).written
                let downWritten = try down.sendUntilFull(on: served).written
                client.setBlocking(true)
                served.setBlocking(true)
                client.endWriting()
                served.endWriting()
                let receiving = Beside { try up.expect(upWritten, on: served) }
                try down.expect(downWritten, on: client)
                try receiving.join()
                #expect(try relay.awaitEnds(1).map(\.reason) == [.finished])
            }
        }
    }
}

private let isSanitized = dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil

private func residentBytes() throws -> Int {
    let file = open("/proc/self/statm", O_RDONLY)
    guard file >= 0 else { throw SyscallError(call: "open", number: errno) }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 256)
    let count = read(file, &text, text.count)
    let fields = String(decoding: text.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
    guard fields.count > 1, let pages = Int(fields[1]) else { throw TestFailure("statm") }
    return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}
