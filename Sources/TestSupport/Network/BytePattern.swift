// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

/// A stream of bytes of which every byte is known by its position, so that a receiver sees a lost, doubled, moved or
/// changed one: stronger than a checksum, and as fast as memory can be compared.
///
/// The period is a prime, so that no buffer size of anybody's lines up with it.
package struct BytePattern: Sendable {
    private static let period = 1_048_573
    /// The period twice, so that any part of up to one period lies in one piece.
    private let bytes: [UInt8]

    /// - Parameter seed: streams of different seeds differ.
    package init(seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        var bytes = [UInt8](repeating: 0, count: Self.period + 8)
        bytes.withUnsafeMutableBytes { buffer in
            // xorshift64 (Marsaglia 2003): good enough to have no repeats inside a period.
            for offset in stride(from: 0, to: Self.period, by: 8) {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                buffer.storeBytes(of: state, toByteOffset: offset, as: UInt64.self)
            }
        }
        let once = bytes[..<Self.period]
        self.bytes = Array(once + once)
    }

    /// Where a received stream first differs from what was sent.
    package struct Difference: Error, CustomStringConvertible {
        package let position: Int
        package let expectedCount: Int
        package let what: String
        package var description: String { "\(what) at byte \(position) of \(expectedCount)" }
    }

    package func send(_ count: Int, on connection: TCPConnection, piece: Int = 256 << 10) throws {
        var position = 0
        while position < count {
            let size = min(piece, count - position, Self.period)
            try withBytes(at: position, count: size) { try connection.send($0) }
            position += size
        }
    }

    /// Receives to the end of the stream.
    /// - Parameter pausingAfter: bytes after which `pause` is called once; nil for never.
    /// - Throws: `Difference` unless exactly the first `count` bytes of the pattern came.
    package func receiveAll(
        _ count: Int, on connection: TCPConnection, pausingAfter: Int? = nil, _ pause: () -> Void = {}
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 8)
        defer { buffer.deallocate() }
        var position = 0
        var pauseAt = pausingAfter ?? .max
        while true {
            let got = try connection.receive(into: buffer)
            if got == 0 { break }
            let same = withBytes(at: position, count: got) { expected in
                guard let left = expected.baseAddress, let right = buffer.baseAddress else { return false }
                return memcmp(left, right, got) == 0
            }
            guard same else { throw Difference(position: position, expectedCount: count, what: "changed bytes") }
            position += got
            if position >= pauseAt {
                pauseAt = .max
                pause()
            }
        }
        guard position == count else { throw Difference(position: position, expectedCount: count, what: "end") }
    }

    private func withBytes<Result>(
        at position: Int, count: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let start = position % Self.period
        return try bytes.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<start + count])) }
    }
}
