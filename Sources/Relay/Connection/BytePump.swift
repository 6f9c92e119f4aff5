// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc

/// Moves bytes from one half to the other: with one scratch buffer for all connections of a worker, or through a pipe.
///
/// What is taken is handed over at once. Only what the other side does not take is kept, in a buffer borrowed for as
/// long as that side is stuck; meanwhile nothing is read, so that the sender's own window closes. A direction whose reads
/// fill the buffer several times in a row is bulk: its bytes are spliced, and what is not taken stays in the pipe, until
/// the next look at the connection (`freePipe`). So a pipe is held only while bytes go through it, and an idle connection
/// holds nothing.
struct BytePump: ~Copyable {
    /// Of the scratch buffer, and taken into a pipe at once: so the most that is ever kept of a direction whose sink takes
    /// nothing is 64 KiB, docs/promises.md, "The relay". A pipe has room for more, because small packets fill it sooner.
    static let bufferBytes = 65_536
    /// For one direction before others get their turn.
    private static let bytesPerTurn = 1 << 20
    /// A direction that brings less at once is bulk no more.
    private static let leastBulk = 16_384

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
    private(set) var buffers = BufferPool(bufferBytes: bufferBytes)
    private(set) var pipes: PipePool
    /// Full reads in a row after which a direction is bulk.
    private let bulkAfter: UInt8
    /// Bytes that were spliced, of all directions.
    private(set) var splicedBytes: UInt64 = 0

    init(pipes: consuming PipePool, bulkAfter: UInt8) {
        self.pipes = pipes
        self.bulkAfter = bulkAfter
    }

    deinit { scratch.deallocate() }

    /// When `dropSpares` is due; nil while nothing is spare.
    var sparesEnd: UInt64? { pipes.sparesEnd }

    mutating func dropSpares() { pipes.dropSpares() }

    /// Moves what `source` has to `sink`, as far as it goes without waiting.
    mutating func move(
        from source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>, now: UInt64
    ) -> Outcome {
        if source.pointee.pendingCount > 0, let stuck = flush(source, to: sink) { return stuck }
        var taken = 0
        while taken < Self.bytesPerTurn {
            if source.pointee.hasEnded { return forwardEnd(of: source, to: sink) }
            guard source.pointee.isReadable else { return .blocked }
            var count: Int
            var stuck: Outcome?
            if source.pointee.fullReads >= bulkAfter, let pipe = pipes.borrow(now: now) {
                (count, stuck) = splice(from: source, through: pipe, to: sink)
                if count == -Int(EAGAIN), source.pointee.isEnding { (count, stuck) = confirm(source, to: sink) }
            } else {
                (count, stuck) = copy(from: source, to: sink)
            }
            taken += max(0, count)
            if let stuck { return stuck }
            if count > 0 { continue }
            if count == -Int(EAGAIN) {
                source.pointee.isReadable = false
                if (1..<Self.leastBulk).contains(taken) { source.pointee.fullReads = 0 }
                return .blocked
            }
            source.pointee.hasEnded = true
            if count < 0 {
                source.pointee.wasReset = true
                return .sourceFailed(Int32(-count))
            }
        }
        return source.pointee.isReadable || source.pointee.hasEnded ? .yielded : .blocked
    }

    /// Drops what `source` could not hand over.
    mutating func discardPending(of source: UnsafeMutablePointer<Half>) {
        if let buffer = source.pointee.pending {
            source.pointee.pending = nil
            buffers.giveBack(buffer)
        }
        if let pipe = source.pointee.pipe {
            source.pointee.pipe = nil
            pipes.giveBack(pipe, isEmpty: source.pointee.pendingCount == 0)
        }
        source.pointee.pendingStart = 0
        source.pointee.pendingEnd = 0
    }

    /// Frees the pipe of a direction whose sink has taken nothing for a while: there are few, and a reader that has stopped
    /// would keep it for as long as it likes. What is in it waits in a buffer, which holds as much as goes into a pipe.
    mutating func freePipe(of source: UnsafeMutablePointer<Half>) {
        guard let pipe = source.pointee.pipe else { return }
        let count = source.pointee.pendingCount
        let buffer = buffers.borrow()
        var taken = 0
        while taken < count {
            let some = Syscall.read(pipe.readEnd, into: buffer + taken, count: count - taken)
            precondition(some > 0, "a pipe holds less than went into it")
            taken += some
        }
        pipes.giveBack(pipe, isEmpty: true)
        source.pointee.pipe = nil
        source.pointee.pending = buffer
        source.pointee.pendingStart = 0
        source.pointee.pendingEnd = UInt32(count)
    }

    private func forwardEnd(of source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>) -> Outcome {
        if source.pointee.wasReset { return .sourceFailed(ECONNRESET) }
        if !sink.pointee.isShutDown {
            sink.pointee.isShutDown = true
            // Where the other direction is over as well, the close that follows at once sends FIN itself.
            let isLast = sink.pointee.hasEnded && sink.pointee.pendingCount == 0 && source.pointee.isShutDown
            if !isLast { StreamSocket.endWriting(sink.pointee.descriptor) }
        }
        return .ended
    }

    // MARK: - Taking

    /// - Returns: bytes read, 0 at the end of the stream or `-errno`; and why to stop, when they were not all handed over.
    private mutating func copy(
        from source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>
    ) -> (Int, Outcome?) {
        let count = Syscall.receive(source.pointee.descriptor, into: scratch, count: Self.bufferBytes)
        guard count > 0 else { return (count, nil) }
        if count == Self.bufferBytes {
            if source.pointee.fullReads < bulkAfter { source.pointee.fullReads += 1 }
        } else {
            source.pointee.fullReads = 0
            // A short read has emptied the socket, and saves the read that would say so. Once an end is near its event has
            // come already and will not come again; what follows all bytes is FIN, if that is all that was announced.
            if !source.pointee.isEnding { source.pointee.isReadable = false }
            if source.pointee.isFinishing { source.pointee.hasEnded = true }
        }
        var sent = Syscall.send(sink.pointee.descriptor, from: scratch, count: count)
        if sent < 0 {
            guard sent == -Int(EAGAIN) else { return (count, .sinkFailed(Int32(-sent))) }
            sent = 0
        }
        source.pointee.bytes &+= UInt64(sent)
        guard sent < count else { return (count, nil) }
        let buffer = buffers.borrow()
        buffer.copyMemory(from: scratch + sent, byteCount: count - sent)
        source.pointee.pending = buffer
        source.pointee.pendingEnd = UInt32(count - sent)
        return (count, .blocked)
    }

    /// As `copy`, through an empty pipe, which this keeps or gives back.
    private mutating func splice(
        from source: UnsafeMutablePointer<Half>, through pipe: Pipe, to sink: UnsafeMutablePointer<Half>
    ) -> (Int, Outcome?) {
        // Since the pipe is empty, EAGAIN means that the socket is. A short count says nothing: a pipe holds so many
        // packets, however small they are.
        let room = min(pipes.pipeBytes, Self.bufferBytes)
        let count = Syscall.splice(from: source.pointee.descriptor, to: pipe.writeEnd, count: room)
        guard count > 0 else {
            pipes.giveBack(pipe, isEmpty: true)
            return (count, nil)
        }
        source.pointee.pipe = pipe
        source.pointee.pendingEnd = UInt32(count)
        splicedBytes &+= UInt64(count)
        return (count, flush(source, to: sink))
    }

    /// Reads after a splice has found nothing: in front of an urgent byte, which is told by an event, it does so with bytes
    /// there, and for ever.
    private mutating func confirm(
        _ source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>
    ) -> (Int, Outcome?) {
        let fullReads = source.pointee.fullReads
        let result = copy(from: source, to: sink)
        source.pointee.fullReads = fullReads
        return result
    }

    // MARK: - Handing over

    /// Hands over what is pending. - Returns: nil when all was taken.
    private mutating func flush(
        _ source: UnsafeMutablePointer<Half>, to sink: UnsafeMutablePointer<Half>
    ) -> Outcome? {
        while source.pointee.pendingCount > 0 {
            let sent = handOver(source, to: sink.pointee.descriptor)
            guard sent > 0 else { return sent == -Int(EAGAIN) ? .blocked : .sinkFailed(Int32(-sent)) }
            source.pointee.pendingStart += UInt32(sent)
            source.pointee.bytes &+= UInt64(sent)
        }
        discardPending(of: source)
        return nil
    }

    private func handOver(_ source: UnsafeMutablePointer<Half>, to descriptor: Int32) -> Int {
        let count = source.pointee.pendingCount
        if let pipe = source.pointee.pipe {
            return Syscall.splice(from: pipe.readEnd, to: descriptor, count: count)
        }
        guard let buffer = source.pointee.pending else { return -Int(EINVAL) }
        return Syscall.send(descriptor, from: buffer + Int(source.pointee.pendingStart), count: count)
    }
}
