// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import Testing

@testable import Relay

extension SocketSuites {
    /// The pump between two pairs of Unix sockets: no worker, no epoll.
    @Suite struct BytePumpTests {
        @Test func idleDirectionHoldsNothing() throws {
            var pair = try PumpedPair()
            try pair.write(1_000)
            #expect(pair.move() == .blocked)
            #expect(pair.read() == 1_000)
            #expect(pair.pump.borrowedCount == 0)
            #expect(!pair.source.pointee.isReadable)
        }

        @Test func stuckSinkKeepsAtMostOneBufferAndStopsTheReading() throws {
            var pair = try PumpedPair()
            pair.fill()
            #expect(pair.move() == .blocked)
            #expect(pair.pump.borrowedCount == 1)
            let kept = pair.source.pointee.pendingCount
            #expect((1...BytePump.bufferBytes).contains(kept))
            // Nothing more is taken from the writer, however often the pump is asked.
            var written = pair.written
            pair.source.pointee.isReadable = true
            for _ in 0..<10 {
                pair.fill()
                #expect(pair.move() == .blocked)
                #expect(pair.source.pointee.pendingCount == kept)
            }
            written = pair.written
            var received = 0
            while case let count = pair.read(), count > 0 {
                received += count
                pair.source.pointee.isReadable = true
                _ = pair.move()
            }
            #expect(received == written)
            #expect(pair.pump.borrowedCount == 0)
        }

        @Test func endIsForwardedAfterTheBytesBeforeIt() throws {
            var pair = try PumpedPair()
            try pair.write(10)
            pair.endWriting()
            pair.source.pointee.isEnding = true
            #expect(pair.move() == .ended)
            #expect(pair.read() == 10)
            #expect(pair.read() == 0)
            #expect(pair.sink.pointee.isShutDown && pair.source.pointee.hasEnded)
        }

        @Test func shortReadMeansEmptyOnlyWhileNoEndIsNear() throws {
            var pair = try PumpedPair()
            try pair.write(10)
            // The end comes with the same event: without reading on, it would never be seen.
            pair.endWriting()
            #expect(pair.move() == .blocked)
            #expect(!pair.source.pointee.hasEnded)
            pair.source.pointee.isReadable = true
            pair.source.pointee.isEnding = true
            #expect(pair.move() == .ended)
        }

        @Test func endOfAResetSourceIsNotForwardedAsFIN() throws {
            var pair = try PumpedPair()
            try pair.write(10)
            pair.endWriting()
            pair.source.pointee.wasReset = true
            pair.source.pointee.isEnding = true
            #expect(pair.move() == .sourceFailed(ECONNRESET))
            #expect(!pair.sink.pointee.isShutDown)
            #expect(pair.read() == 10)
        }

        @Test func sinkThatIsGoneIsToldFromABlockedOne() throws {
            var pair = try PumpedPair()
            try pair.write(10)
            pair.closeReader()
            #expect(pair.move() == .sinkFailed(EPIPE))
        }

        @Test func buffersAreUsedAgainAndDiscardedOnes() throws {
            var pair = try PumpedPair()
            for _ in 0..<3 {
                for _ in 0..<100 where pair.pump.borrowedCount == 0 {
                    pair.source.pointee.isReadable = true
                    _ = pair.move()
                    pair.fill()
                }
                #expect(pair.pump.borrowedCount == 1)
                pair.pump.discardPending(of: pair.source)
                #expect(pair.pump.borrowedCount == 0)
                #expect(pair.source.pointee.pending == nil)
                while pair.read() > 0 {}
            }
        }
    }
}

/// A writer's socket, the pump's two, and a reader's: all non-blocking.
private struct PumpedPair: ~Copyable {
    var pump = BytePump()
    let source: UnsafeMutablePointer<Half>
    let sink: UnsafeMutablePointer<Half>
    private let writer: OwnedDescriptor
    private let sourceSocket: OwnedDescriptor
    private let sinkSocket: OwnedDescriptor
    private var reader: OwnedDescriptor?
    private(set) var written = 0

    init() throws {
        var (left, right) = ([Int32](repeating: -1, count: 2), [Int32](repeating: -1, count: 2))
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &left) == 0, socketpair(AF_UNIX, kind, 0, &right) == 0 else {
            throw SyscallError(call: "socketpair", number: errno)
        }
        writer = OwnedDescriptor(adopting: left[0])
        sourceSocket = OwnedDescriptor(adopting: left[1])
        sinkSocket = OwnedDescriptor(adopting: right[0])
        reader = OwnedDescriptor(adopting: right[1])
        source = .allocate(capacity: 1)
        source.initialize(to: Half())
        source.pointee.descriptor = left[1]
        source.pointee.isReadable = true
        sink = .allocate(capacity: 1)
        sink.initialize(to: Half())
        sink.pointee.descriptor = right[0]
    }

    deinit {
        source.deallocate()
        sink.deallocate()
    }

    mutating func move() -> BytePump.Outcome { pump.move(from: source, to: sink) }

    mutating func write(_ count: Int) throws {
        let bytes = [UInt8](repeating: 7, count: count)
        let sent = Syscall.send(writer.number, from: bytes, count: count)
        guard sent == count else { throw TestFailure("wrote \(sent) of \(count)") }
        written += count
    }

    /// Writes, and lets the pump move, until the writer's socket takes no more.
    mutating func fill() {
        let bytes = [UInt8](repeating: 7, count: 32_768)
        while case let sent = Syscall.send(writer.number, from: bytes, count: bytes.count), sent > 0 {
            written += sent
            source.pointee.isReadable = true
            _ = move()
        }
    }

    func endWriting() { StreamSocket.endWriting(writer.number) }

    mutating func closeReader() { reader = nil }

    /// - Returns: bytes taken, less than zero when there are none.
    func read() -> Int {
        guard let number = readerNumber else { return -1 }
        var bytes = [UInt8](repeating: 0, count: 100_000)
        return Syscall.receive(number, into: &bytes, count: bytes.count)
    }

    private var readerNumber: Int32? {
        switch reader {
        case .some(let descriptor): descriptor.number
        case .none: nil
        }
    }
}
