// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc

/// Moves bytes from one half to the other with one scratch buffer for all connections of a worker.
///
/// What is read is written at once. Only what the other side does not take is kept, in a buffer borrowed for as long as
/// that side is stuck; meanwhile nothing is read, so that the sender's own window closes. An idle connection holds none.
struct BytePump: ~Copyable {
    /// Of the scratch buffer, and so the most that a direction ever keeps: 64 KiB, docs/promises.md, "The relay".
    static let bufferBytes = 65_536
    /// Reads in a row for one direction before others get their turn: 1 MiB.
    private static let readsPerTurn = 16
    /// Buffers kept for the next that gets stuck; more are freed when they come back.
    private static let sparesKept = 16

    enum Outcome: Equatable {
        /// Waits for an event: nothing to read, or the other side is stuck.
        case blocked
        /// Everything was read and handed over, and FIN after it.
        case ended
        /// There is more, but others are due.
        case yielded
        /// The source was reset; all that it had sent was handed over to the sink's socket.
        case sourceFailed(Int32)
        /// The sink takes nothing any more.
        case sinkFailed(Int32)
    }

    private let scratch = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 4096)
    private let spares: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var spareCount = 0
    /// Buffers that stuck directions hold.
    private(set) var borrowedCount = 0

    init() { spares = .allocate(capacity: Self.sparesKept) }

    deinit {
        scratch.deallocate()
        for index in 0..<spareCount { spares[index].deallocate() }
        spares.deallocate()
    }

    /// Moves what `source` has to `sink`, as far as it goes without waiting.
    mutating func move(from source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>) -> Outcome {
        if source.pointee.pending != nil, let stuck = flush(source, to: sink) { return stuck }
        for _ in 0..<Self.readsPerTurn {
            if source.pointee.hasEnded { return forwardEnd(of: source, to: sink) }
            guard source.pointee.isReadable else { return .blocked }
            let count = Syscall.receive(source.pointee.descriptor, into: scratch, count: Self.bufferBytes)
            if count > 0 {
                // A short read has emptied the socket, and saves the read that would say so; not once an end is near,
                // because its event has come already and will not come again.
                if count < Self.bufferBytes, !source.pointee.isEnding { source.pointee.isReadable = false }
                if let stuck = write(count, of: source, to: sink) { return stuck }
            } else if count == -Int(EAGAIN) {
                source.pointee.isReadable = false
            } else {
                source.pointee.hasEnded = true
                if count < 0 {
                    source.pointee.wasReset = true
                    return .sourceFailed(Int32(-count))
                }
            }
        }
        return source.pointee.isReadable || source.pointee.hasEnded ? .yielded : .blocked
    }

    /// Drops what `source` could not hand over.
    mutating func discardPending(of source: UnsafeMutablePointer<Half>) {
        guard let buffer = source.pointee.pending else { return }
        source.pointee.pending = nil
        source.pointee.pendingStart = 0
        source.pointee.pendingEnd = 0
        borrowedCount -= 1
        if spareCount < Self.sparesKept {
            spares[spareCount] = buffer
            spareCount += 1
        } else {
            buffer.deallocate()
        }
    }

    private func forwardEnd(of source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>) -> Outcome {
        if source.pointee.wasReset { return .sourceFailed(ECONNRESET) }
        if !sink.pointee.isShutDown {
            sink.pointee.isShutDown = true
            StreamSocket.endWriting(sink.pointee.descriptor)
        }
        return .ended
    }

    /// Writes the first `count` bytes of the scratch buffer. - Returns: nil when all were taken.
    private mutating func write(
        _ count: Int, of source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>
    ) -> Outcome? {
        var sent = Syscall.send(sink.pointee.descriptor, from: scratch, count: count)
        if sent < 0 {
            guard sent == -Int(EAGAIN) else { return .sinkFailed(Int32(-sent)) }
            sent = 0
        }
        source.pointee.bytes &+= UInt64(sent)
        guard sent < count else { return nil }
        let buffer = borrow()
        buffer.copyMemory(from: scratch + sent, byteCount: count - sent)
        source.pointee.pending = buffer
        source.pointee.pendingStart = 0
        source.pointee.pendingEnd = count - sent
        return .blocked
    }

    /// Writes what is pending. - Returns: nil when all was taken.
    private mutating func flush(
        _ source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>
    ) -> Outcome? {
        guard let buffer = source.pointee.pending else { return nil }
        while source.pointee.pendingCount > 0 {
            let sent = Syscall.send(
                sink.pointee.descriptor, from: buffer + source.pointee.pendingStart, count: source.pointee.pendingCount
            )
            guard sent >= 0 else { return sent == -Int(EAGAIN) ? .blocked : .sinkFailed(Int32(-sent)) }
            source.pointee.pendingStart += sent
            source.pointee.bytes &+= UInt64(sent)
        }
        discardPending(of: source)
        return nil
    }

    // Hot path: allocates only for a side that is stuck while no spare buffer is left.
    private mutating func borrow() -> UnsafeMutableRawPointer {
        borrowedCount += 1
        guard spareCount > 0 else { return .allocate(byteCount: Self.bufferBytes, alignment: 16) }
        spareCount -= 1
        return spares[spareCount]
    }
}
