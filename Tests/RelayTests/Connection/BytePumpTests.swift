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
            #expect(try pair.read() == 1_000)
            #expect(pair.pump.buffers.borrowedCount == 0)
            #expect(!pair.source.pointee.isReadable)
        }

        @Test func stuckSinkKeepsAtMostOneBufferAndStopsTheReading() throws {
            var pair = try PumpedPair()
            try pair.fill()
            #expect(pair.move() == .blocked)
            #expect(pair.pump.buffers.borrowedCount == 1)
            let kept = pair.source.pointee.pendingCount
            #expect((1...BytePump.bufferBytes).contains(kept))
            // Nothing more is taken from the writer, however often the pump is asked.
            pair.source.pointee.isReadable = true
            for _ in 0..<10 {
                try pair.fill()
                #expect(pair.move() == .blocked)
                #expect(pair.source.pointee.pendingCount == kept)
            }
            try pair.drain()
            #expect(pair.pump.buffers.borrowedCount == 0)
        }

        @Test func endIsForwardedAfterTheBytesBeforeIt() throws {
            var pair = try PumpedPair()
            try pair.write(10)
            pair.endWriting()
            pair.source.pointee.isEnding = true
            #expect(pair.move() == .ended)
            #expect(try pair.read() == 10)
            #expect(try pair.read() == 0)
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
            #expect(try pair.read() == 10)
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
                for _ in 0..<100 where pair.pump.buffers.borrowedCount == 0 {
                    pair.source.pointee.isReadable = true
                    _ = pair.move()
                    try pair.fill()
                }
                #expect(pair.pump.buffers.borrowedCount == 1)
                let lost = pair.source.pointee.pendingCount
                pair.pump.discardPending(of: pair.source)
                #expect(pair.pump.buffers.borrowedCount == 0)
                #expect(pair.source.pointee.pending == nil)
                while try pair.read() > 0 {}
                pair.skip(lost)
            }
        }
    }
}
