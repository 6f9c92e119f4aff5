// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

@Suite struct ConnectionSlabTests {
    @Test func slotsAreDistinctAndUsedAgain() {
        var slab = ConnectionSlab()
        var slots = (0..<600).compactMap { _ in slab.take() }
        #expect(Set(slots).count == 600)
        #expect(slab.count == 600 && slab.capacity >= 600)
        let capacity = slab.capacity
        for slot in slots { slab.giveBack(slot) }
        #expect(slab.count == 0)
        slots = (0..<600).compactMap { _ in slab.take() }
        #expect(Set(slots).count == 600)
        #expect(slab.capacity == capacity)
    }

    /// docs/promises.md, "The relay": 1.5 kB of an idle connection, of which the slab takes a third at most.
    @Test func connectionTakesHalfAKilobyte() {
        let bytes = 2 * MemoryLayout<Half>.stride + MemoryLayout<Connection>.stride
        print("a connection takes \(bytes) bytes: 2 x \(MemoryLayout<Half>.stride) for its halves")
        #expect(bytes <= 512)
    }

    @Test func pointersStayWhenTheSlabGrows() throws {
        var slab = ConnectionSlab()
        let taken = slab.take()
        let slot = try #require(taken)
        let (half, connection) = (slab.half(2 * slot + 1), slab.connection(slot))
        half.pointee.bytes = 42
        for _ in 0..<1_000 { _ = slab.take() }
        #expect(slab.half(2 * slot + 1) == half && slab.connection(slot) == connection)
        #expect(half.pointee.bytes == 42)
    }

    @Test func clearedHalfHasAnotherGenerationAndAReturnedSlotIsAsNew() throws {
        var slab = ConnectionSlab()
        let taken = slab.take()
        let slot = try #require(taken)
        let half = slab.half(2 * slot)
        half.pointee.isReadable = true
        let generation = half.pointee.generation
        half.pointee.clear()
        #expect(half.pointee.generation != generation)
        #expect(!half.pointee.isReadable && half.pointee.descriptor == -1)
        slab.connection(slot).pointee.phase = .relaying
        slab.connection(slot).pointee.isQueued = true
        slab.giveBack(slot)
        #expect(slab.take() == slot)
        #expect(slab.connection(slot).pointee.phase == .free)
        #expect(slab.connection(slot).pointee.isQueued)
    }
}
