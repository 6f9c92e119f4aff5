// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// The instrument itself: each fault does what it says, by the clock of a test.
@Suite struct DelayLineTests {
    private let start = ContinuousClock.now
    private let bytes = Array(0..<100).map { UInt8($0) }

    @Test func passesOnAtOnceWhatComes() {
        var line = DelayLine()
        line.take(bytes, at: start, LineFaults())
        #expect(line.nextDue == start && line.count == 100)
        #expect(line.give(at: start) == bytes)
        #expect(line.give(at: start) == nil && line.count == 0 && line.nextDue == nil)
    }

    @Test func keepsBytesAndTheEndForTheLatency() {
        var faults = LineFaults()
        faults.latency = .milliseconds(50)
        var line = DelayLine()
        line.take(bytes, at: start, faults)
        #expect(line.give(at: start + .milliseconds(49)) == nil)
        #expect(line.give(at: start + .milliseconds(50)) == bytes)
        #expect(line.due(ofEndAt: start + .milliseconds(10), faults) == start + .milliseconds(60))
    }

    @Test func givesNoMoreThanTheBandwidth() {
        var faults = LineFaults()
        faults.bytesPerSecond = 1000
        faults.sliceBytes = 10
        var line = DelayLine()
        line.take(bytes, at: start, faults)
        var given: [UInt8] = []
        // The first piece goes at once, the nine others 10 ms behind each other.
        while let piece = line.give(at: start + .milliseconds(45)) { given += piece }
        #expect(given == Array(bytes.prefix(50)))
        while let piece = line.give(at: start + .milliseconds(90)) { given += piece }
        #expect(given == bytes)
    }

    @Test func givesSlicesWithPausesBetween() {
        var faults = LineFaults()
        faults.sliceBytes = 30
        faults.slicePause = .milliseconds(5)
        var line = DelayLine()
        line.take(bytes, at: start, faults)
        var sizes: [Int] = []
        for number in 0..<5 {
            while let piece = line.give(at: start + .milliseconds(5 * number)) { sizes.append(piece.count) }
        }
        #expect(sizes == [30, 30, 30, 10])
        // A later piece does not overtake, whatever the faults are by then.
        var other = DelayLine()
        faults.latency = .seconds(1)
        other.take(bytes, at: start, faults)
        other.take(bytes, at: start, LineFaults())
        #expect(other.give(at: start + .milliseconds(999)) == nil)
    }

    @Test func holdsTheEndBackBehindTheLastByte() {
        var faults = LineFaults()
        faults.latency = .milliseconds(10)
        faults.closeDelay = .milliseconds(100)
        var line = DelayLine()
        line.take(bytes, at: start, faults)
        #expect(line.due(ofEndAt: start, faults) == start + .milliseconds(110))
    }
}
