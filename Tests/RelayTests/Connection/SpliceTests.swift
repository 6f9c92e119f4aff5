// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import Testing

@testable import Relay

extension SocketSuites {
    /// The pump with pipes, between two pairs of Unix sockets.
    @Suite struct SpliceTests {
        /// So that several full reads fit into a socket.
        private static let roomBytes: Int32 = 1 << 20

        @Test func directionIsSplicedAfterSeveralFullReadsAndKeepsNoPipe() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 3), bufferBytes: Self.roomBytes)
            try pair.write(3 * BytePump.bufferBytes)
            #expect(pair.move() == .blocked)
            #expect(pair.pump.splicedBytes == 0)
            try pair.drain()
            try pair.write(4 * BytePump.bufferBytes)
            pair.source.pointee.isReadable = true
            #expect(pair.move() == .blocked)
            #expect(pair.pump.splicedBytes == 4 * UInt64(BytePump.bufferBytes))
            // Nothing is in it, so it is for others: one spare, none borrowed.
            #expect(pair.source.pointee.pipe == nil && pair.pump.pipes.borrowedCount == 0)
            #expect(pair.budget.openPipes == 1)
            try pair.drain()
            #expect(pair.source.pointee.bytes == 7 * UInt64(BytePump.bufferBytes))
        }

        @Test func shortReadBeginsTheCountAnew() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 2), bufferBytes: Self.roomBytes)
            for _ in 0..<4 {
                try pair.write(BytePump.bufferBytes + 1)
                pair.source.pointee.isReadable = true
                _ = pair.move()
                try pair.drain()
            }
            #expect(pair.pump.splicedBytes == 0)
        }

        @Test func bulkThatTurnsIntoSmallMessagesIsCopiedAgain() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 1), bufferBytes: Self.roomBytes)
            try pair.write(4 * BytePump.bufferBytes)
            try pair.drain()
            let spliced = pair.pump.splicedBytes
            #expect(spliced > 0)
            // The first small message shows it, the others go the other way.
            for _ in 0..<3 {
                try pair.write(100)
                pair.source.pointee.isReadable = true
                #expect(pair.move() == .blocked)
                try pair.drain()
            }
            #expect(pair.pump.splicedBytes == spliced + 100)
            #expect(pair.source.pointee.bytes == UInt64(pair.received))
        }

        @Test func stuckSinkKeepsThePipeUntilAllIsTaken() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
            try pair.fill()
            #expect(pair.move() == .blocked)
            #expect(pair.source.pointee.pipe != nil && pair.pump.pipes.borrowedCount == 1)
            #expect(pair.pump.buffers.borrowedCount == 0)
            let kept = pair.source.pointee.pendingCount
            #expect(kept > 0)
            for _ in 0..<10 {
                try pair.fill()
                #expect(pair.move() == .blocked)
                #expect(pair.source.pointee.pendingCount == kept)
            }
            try pair.drain()
            #expect(pair.source.pointee.pipe == nil && pair.pump.pipes.borrowedCount == 0)
            #expect(pair.source.pointee.bytes == UInt64(pair.written))
        }

        @Test func stuckSinkGivesItsPipeToOthersAndLosesNothing() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
            try pair.fill()
            let kept = pair.source.pointee.pendingCount
            #expect(kept > 0 && pair.source.pointee.pipe != nil)
            pair.pump.freePipe(of: pair.source)
            #expect(pair.source.pointee.pipe == nil && pair.source.pointee.pendingCount == kept)
            #expect(pair.pump.pipes.borrowedCount == 0 && pair.pump.buffers.borrowedCount == 1)
            // Once more changes nothing.
            pair.pump.freePipe(of: pair.source)
            try pair.drain()
            #expect(pair.source.pointee.bytes == UInt64(pair.written))
            #expect(pair.pump.buffers.borrowedCount == 0)
        }

        @Test func pipeWithBytesInItIsNeverAnothers() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
            try pair.fill()
            #expect(pair.pump.pipes.borrowedCount == 1)
            pair.pump.discardPending(of: pair.source)
            #expect(pair.pump.pipes.borrowedCount == 0)
            #expect(pair.budget.openPipes == 0)
            #expect(pair.source.pointee.pendingCount == 0)
        }

        @Test func withoutAPipeBytesAreCopied() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0), bufferBytes: Self.roomBytes)
            let taken = pair.budget.take()
            try pair.write(8 * BytePump.bufferBytes)
            try pair.drain()
            #expect(taken && pair.pump.splicedBytes == 0)
            pair.budget.giveBack()
            try pair.write(100)
            try pair.drain()
            #expect(pair.pump.splicedBytes == 100)
        }

        @Test func endIsForwardedAfterThePipesBytes() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
            try pair.fill()
            pair.endWriting()
            pair.source.pointee.isEnding = true
            #expect(pair.move() == .blocked && !pair.sink.pointee.isShutDown)
            try pair.drain()
            pair.source.pointee.isReadable = true
            #expect(pair.move() == .ended)
            #expect(try pair.read() == 0)
            #expect(pair.pump.pipes.borrowedCount == 0)
        }

        @Test func sinkThatIsGoneIsToldFromABlockedOne() throws {
            var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
            try pair.write(10)
            pair.closeReader()
            #expect(pair.move() == .sinkFailed(EPIPE))
            #expect(pair.source.pointee.bytes == 0)
            pair.pump.discardPending(of: pair.source)
            #expect(pair.budget.openPipes == 0)
        }

        /// An unprivileged user's pipes are counted by the page (pipe(7), pipe-user-pages-soft): in a process of its own.
        @Test func unprivilegedUserGetsAFewPipesAndCopiesBeyond() async throws {
            await #expect(processExitsWith: .success) {
                #expect(getuid() != 0 || setgid(65_532) == 0 && setuid(65_532) == 0)
                let budget = PipeBudget(limit: 100, pipeBytes: 1 << 20, descriptors: DescriptorRoom(workers: 1))
                var pool = PipePool(budget: budget, sparesKept: 0)
                var pipes: [Pipe] = []
                while let pipe = pool.borrow(now: 0) { pipes.append(pipe) }
                // 64 where the limit is 16,384 pages, and nobody else has this user's.
                #expect((32...64).contains(pipes.count), "\(pipes.count) pipes")
                #expect(budget.openPipes == pipes.count)
                var pair = try PumpedPair(splicing: SplicePolicy(maxPipes: 1, fullReads: 0))
                try pair.fill()
                try pair.drain()
                #expect(pair.pump.splicedBytes == 0)
                // Refused just now, so not asked for again at once; later, when there is one, all is as ever.
                while let pipe = pipes.popLast() { pool.giveBack(pipe, isEmpty: true) }
                let early = pool.borrow(now: 1)
                #expect(early?.readEnd == nil)
                let late = pool.borrow(now: 1_000_000_001)
                pool.giveBack(try #require(late), isEmpty: false)
                #expect(budget.openPipes == 0)
            }
        }

        /// Small pipes and small sockets, ends that stop at different places, and copying in between.
        @Test(arguments: UInt64(1)...8)
        func nothingIsLostWhenItSwitchesInMidStream(seed: UInt64) throws {
            var random = QuickRandom(seed: seed)
            let pipeBytes = 4096 << Int.random(in: 0...4, using: &random)
            var pair = try PumpedPair(
                splicing: SplicePolicy(maxPipes: 1, pipeBytes: pipeBytes, fullReads: 1),
                bufferBytes: Int32.random(in: 4_096...200_000, using: &random)
            )
            for round in 0..<400 {
                pair.source.pointee.fullReads = round % 7 < 3 ? 1 : 0
                if Bool.random(using: &random) { try pair.fill() }
                for _ in 0..<Int.random(in: 0...3, using: &random) { _ = try pair.read() }
                _ = pair.move()
                if round % 5 == 0 { pair.pump.freePipe(of: pair.source) }
            }
            try pair.drain()
            #expect(pair.pump.splicedBytes > 0 && pair.pump.splicedBytes < UInt64(pair.written), "seed \(seed)")
            #expect(pair.source.pointee.bytes == UInt64(pair.written), "seed \(seed)")
            #expect(pair.pump.pipes.borrowedCount == 0 && pair.pump.buffers.borrowedCount == 0)
        }
    }
}
