// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Where a worker keeps its connections: chunks that never move, so that a pointer stays good for the turn.
///
/// Grows by a chunk when it is full, and never shrinks: a slot that is free costs no system call to use again.
struct ConnectionSlab: ~Copyable {
    /// Connections a chunk: some 90 kB of memory at a time.
    private static let chunkSize = 256
    /// Bound of `slots`: half of what a `Token` can name would be more, descriptors end long before.
    private static let maximumChunks = 4096

    private let halfChunks: UnsafeMutablePointer<UnsafeMutablePointer<Half>>
    private let connectionChunks: UnsafeMutablePointer<UnsafeMutablePointer<Connection>>
    private var chunkCount = 0
    private var firstFree = UInt32.max
    /// Slots in use.
    private(set) var count = 0

    init() {
        halfChunks = .allocate(capacity: Self.maximumChunks)
        connectionChunks = .allocate(capacity: Self.maximumChunks)
    }

    deinit {
        for index in 0..<chunkCount {
            halfChunks[index].deallocate()
            connectionChunks[index].deallocate()
        }
        halfChunks.deallocate()
        connectionChunks.deallocate()
    }

    /// Slots there are, used or free.
    var capacity: Int { chunkCount * Self.chunkSize }

    /// - Parameter index: twice the slot, plus 1 for the backend's half.
    func half(_ index: UInt32) -> UnsafeMutablePointer<Half> {
        halfChunks[Int(index) / (2 * Self.chunkSize)] + Int(index) % (2 * Self.chunkSize)
    }

    func connection(_ slot: UInt32) -> UnsafeMutablePointer<Connection> {
        connectionChunks[Int(slot) / Self.chunkSize] + Int(slot) % Self.chunkSize
    }

    /// - Returns: a slot whose connection is as new, nil when there are a million.
    mutating func take() -> UInt32? {
        // Hot path: allocates once for 256 connections, and only at a new maximum.
        if firstFree == .max { grow() }
        guard firstFree != .max else { return nil }
        let slot = firstFree
        firstFree = connection(slot).pointee.nextFree
        count += 1
        return slot
    }

    /// Both halves must have been cleared.
    mutating func giveBack(_ slot: UInt32) {
        let connection = connection(slot)
        let isQueued = connection.pointee.isQueued
        connection.pointee = Connection()
        connection.pointee.isQueued = isQueued
        connection.pointee.nextFree = firstFree
        firstFree = slot
        count -= 1
    }

    private mutating func grow() {
        guard chunkCount < Self.maximumChunks else { return }
        let halves = UnsafeMutablePointer<Half>.allocate(capacity: 2 * Self.chunkSize)
        halves.initialize(repeating: Half(), count: 2 * Self.chunkSize)
        let connections = UnsafeMutablePointer<Connection>.allocate(capacity: Self.chunkSize)
        connections.initialize(repeating: Connection(), count: Self.chunkSize)
        halfChunks[chunkCount] = halves
        connectionChunks[chunkCount] = connections
        let base = UInt32(capacity)
        for index in 0..<Self.chunkSize {
            connections[index].nextFree = index + 1 < Self.chunkSize ? base + UInt32(index) + 1 : .max
        }
        firstFree = base
        chunkCount += 1
    }
}
