// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

@testable import Relay

/// A writer's socket, the pump's two, and a reader's: all non-blocking. What is written and read is one pattern.
struct PumpedPair: ~Copyable {
    var pump: BytePump
    let source: UnsafeMutablePointer<Half>
    let sink: UnsafeMutablePointer<Half>
    let budget: PipeBudget
    private let writer: TestSocket
    private let sourceSocket: TestSocket
    private let sinkSocket: TestSocket
    private let reader: TestSocket
    private let pattern = Pattern(seed: 77)
    private(set) var written = 0
    private(set) var received = 0

    /// - Parameter bufferBytes: what the kernel keeps for each socket; nil for its default.
    init(splicing: SplicePolicy = .off, bufferBytes: Int32? = nil) throws {
        // What the workers' threads do by blocking all signals: splice(2) knows no MSG_NOSIGNAL.
        signal(SIGPIPE, SIG_IGN)
        let (near, far) = (try TestSocket.pair(), try TestSocket.pair())
        (writer, sourceSocket) = near
        (sinkSocket, reader) = far
        for socket in [writer, sourceSocket, sinkSocket, reader] {
            socket.setBlocking(false)
            if let bufferBytes { socket.setBuffers(bufferBytes) }
        }
        budget = PipeBudget(
            limit: splicing.maxPipes ?? 1, pipeBytes: splicing.pipeBytes, descriptors: DescriptorRoom(workers: 1))
        pump = BytePump(
            pipes: PipePool(budget: budget, sparesKept: budget.limit), bulkAfter: UInt8(clamping: splicing.fullReads)
        )
        source = .allocate(capacity: 1)
        source.initialize(to: Half())
        source.pointee.descriptor = sourceSocket.descriptor
        source.pointee.isReadable = true
        sink = .allocate(capacity: 1)
        sink.initialize(to: Half())
        sink.pointee.descriptor = sinkSocket.descriptor
    }

    deinit {
        source.deallocate()
        sink.deallocate()
    }

    mutating func move() -> BytePump.Outcome { pump.move(from: source, to: sink, now: 0) }

    mutating func write(_ count: Int) throws {
        try pattern.sendPart(from: written, count: count, on: writer)
        written += count
    }

    /// Writes, and lets the pump move, until the writer's socket takes no more.
    mutating func fill() throws {
        while case let sent = try pattern.sendSome(from: written, on: writer), sent > 0 {
            written += sent
            source.pointee.isReadable = true
            _ = move()
        }
    }

    func endWriting() { writer.endWriting() }

    func closeReader() { reader.close() }

    /// - Returns: bytes taken, all as they were written; 0 at the end of the stream, less than zero when there are none.
    mutating func read() throws -> Int {
        let count = try pattern.receiveSome(from: received, on: reader)
        received += max(0, count)
        return count
    }

    /// Expects the bytes after the next `count`, which were discarded.
    mutating func skip(_ count: Int) { received += count }

    /// Reads, and lets the pump move, until all that was written has come.
    mutating func drain() throws {
        while received < written {
            source.pointee.isReadable = true
            _ = move()
            guard try read() > 0 else { throw TestFailure("\(received) of \(written) bytes came") }
        }
    }
}
