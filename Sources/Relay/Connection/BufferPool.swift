// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// One worker's buffers for what a stuck side did not take, all of one size.
struct BufferPool: ~Copyable {
    /// Buffers kept for the next that gets stuck; more are freed when they come back.
    private static let sparesKept = 16

    private let bufferBytes: Int
    private let spares: UnsafeMutablePointer<UnsafeMutableRawPointer>
    private var spareCount = 0
    /// Buffers that stuck directions hold.
    private(set) var borrowedCount = 0

    init(bufferBytes: Int) {
        self.bufferBytes = bufferBytes
        spares = .allocate(capacity: Self.sparesKept)
    }

    deinit {
        for index in 0..<spareCount { spares[index].deallocate() }
        spares.deallocate()
    }

    // Hot path: allocates only for a side that is stuck while no spare buffer is left.
    mutating func borrow() -> UnsafeMutableRawPointer {
        borrowedCount += 1
        guard spareCount > 0 else { return .allocate(byteCount: bufferBytes, alignment: 16) }
        spareCount -= 1
        return spares[spareCount]
    }

    mutating func giveBack(_ buffer: UnsafeMutableRawPointer) {
        borrowedCount -= 1
        guard spareCount < Self.sparesKept else { return buffer.deallocate() }
        spares[spareCount] = buffer
        spareCount += 1
    }
}
