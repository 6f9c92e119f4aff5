// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What goes wrong with the bytes of one direction of a `FaultProxy`. None of it by default.
package struct LineFaults: Sendable, Hashable {
    /// How much later each byte, and the end of the stream, goes on.
    package var latency = Duration.zero
    /// At most so many go on, nil: as many as there are. More than 0.
    package var bytesPerSecond: Int?
    /// Bytes that go on in one piece, at most; nil: as they came. More than 0.
    package var sliceBytes: Int?
    /// The time between two such pieces.
    package var slicePause = Duration.zero
    /// How much later than the last byte the end of the stream goes on.
    package var closeDelay = Duration.zero
    /// Nothing is read, and nothing goes on.
    package var isStalled = false
    /// Both sides are reset once so many bytes of a connection have gone on, and no byte more does.
    package var resetAfterBytes: Int?

    package init() {}
}

/// Bytes on their way through one direction of a `FaultProxy`: what has come, and when it may go on. Time comes in by
/// parameters.
package struct DelayLine: Sendable {
    private struct Piece {
        let due: ContinuousClock.Instant
        let bytes: [UInt8]
    }

    private var pieces: [Piece] = []
    /// Pieces before it have gone on.
    private var head = 0
    /// When the last byte that has come may go on.
    private var lastDue: ContinuousClock.Instant?
    /// Bytes inside.
    package private(set) var count = 0

    package init() {}

    package var nextDue: ContinuousClock.Instant? { head < pieces.count ? pieces[head].due : nil }

    /// Lets in bytes that came at `now`; what goes wrong with them is decided here.
    package mutating func take(_ bytes: some Collection<UInt8>, at now: ContinuousClock.Instant, _ faults: LineFaults) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = Array(rest.prefix(faults.sliceBytes ?? rest.count))
            rest = rest.dropFirst(piece.count)
            var due = now + faults.latency
            if let lastDue {
                let pause = faults.sliceBytes == nil ? .zero : faults.slicePause
                let time = faults.bytesPerSecond.map { Duration.seconds(Double(piece.count) / Double($0)) } ?? .zero
                due = max(due, lastDue + max(pause, time))
            }
            lastDue = due
            pieces.append(Piece(due: due, bytes: piece))
            count += piece.count
        }
    }

    /// - Returns: the next piece, when it may go on by now.
    package mutating func give(at now: ContinuousClock.Instant) -> [UInt8]? {
        guard let nextDue, nextDue <= now else { return nil }
        let piece = pieces[head].bytes
        head += 1
        count -= piece.count
        if head == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            head = 0
        }
        return piece
    }

    /// When the end of the stream may go on that came at `now`, behind all that came before it.
    package func due(ofEndAt now: ContinuousClock.Instant, _ faults: LineFaults) -> ContinuousClock.Instant {
        max(now + faults.latency, lastDue ?? now) + faults.closeDelay
    }
}
