// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import ServiceModel
import TestSupport
import Testing

@Suite struct InstanceAllocatorTests {
    private let first = TableHarness.endpoint(1)
    private let second = TableHarness.endpoint(2)

    private let never: (InstanceID) -> Bool = { _ in false }
    private let always: (InstanceID) -> Bool = { _ in true }

    @Test func givesDenseSlotsAndTheSameIDForTheSameInstance() {
        var allocator = InstanceAllocator()
        let ids = (0..<100).compactMap { allocator.acquire(key: "/\($0)", endpoint: first, released: never) }
        #expect(ids.map(\.slot) == Array(0..<100))
        #expect(ids.allSatisfy { $0.generation == 1 })
        #expect(allocator.acquire(key: "/7", endpoint: first, released: never) == ids[7])
        #expect(allocator.acquire(key: "/7", endpoint: second, released: never)?.slot == 100)
    }

    @Test func aSlotIsReusedOnlyWhenTheRelayHasReleasedIt() throws {
        var allocator = InstanceAllocator()
        let acquired = allocator.acquire(key: "/a", endpoint: first, released: never)
        let old = try #require(acquired)
        allocator.retire(old, key: "/a", endpoint: first)
        #expect(allocator.acquire(key: "/b", endpoint: first, released: never)?.slot == 1)
        #expect(
            allocator.acquire(key: "/c", endpoint: first) { $0 == old }
                == InstanceID(slot: old.slot, generation: 2))
        #expect(allocator.slotsUsed == 2)
    }

    @Test func oneThatComesBackInTimeGetsItsOwnID() throws {
        var allocator = InstanceAllocator()
        let acquired = allocator.acquire(key: "/a", endpoint: first, released: never)
        let id = try #require(acquired)
        allocator.retire(id, key: "/a", endpoint: first)
        #expect(allocator.acquire(key: "/a", endpoint: first, released: always) == id)
        #expect(allocator.acquire(key: "/b", endpoint: first, released: always)?.slot == 1, "it is no longer retired")
    }

    @Test func whatIsInUseIsNeverGivenAway() throws {
        var allocator = InstanceAllocator(capacity: 1)
        let acquired = allocator.acquire(key: "/a", endpoint: first, released: always)
        let id = try #require(acquired)
        #expect(allocator.acquire(key: "/b", endpoint: first, released: always) == nil)
        allocator.retire(id, key: "/b", endpoint: first)
        #expect(allocator.acquire(key: "/b", endpoint: first, released: always) == nil, "that was not its own")
    }

    @Test func aFullHouseLooksThroughAllThatWereRetired() throws {
        var allocator = InstanceAllocator(capacity: 100)
        let ids = (0..<100).compactMap { allocator.acquire(key: "/\($0)", endpoint: first, released: never) }
        for (number, id) in ids.enumerated() { allocator.retire(id, key: "/\(number)", endpoint: first) }
        #expect(allocator.acquire(key: "/new", endpoint: first, released: never) == nil)
        let new = allocator.acquire(key: "/new", endpoint: first) { $0.slot == 63 }
        #expect(new == InstanceID(slot: 63, generation: 2))
    }

    @Test func neverTwoLivingTenantsOfOneSlot() throws {
        var random = SplitMix(seed: 7)
        var allocator = InstanceAllocator(capacity: 20)
        var living: [String: InstanceID] = [:]
        var released: Set<InstanceID> = []
        var seen: Set<InstanceID> = []
        for _ in 0..<5000 {
            let key = "/\(Int.random(in: 0..<40, using: &random))"
            if let id = living[key] {
                allocator.retire(id, key: key, endpoint: first)
                living[key] = nil
                if Bool.random(using: &random) { released.insert(id) }
            } else if let id = allocator.acquire(key: key, endpoint: first, released: { released.contains($0) }) {
                #expect(!living.values.contains { $0.slot == id.slot })
                released.remove(id)
                seen.insert(id)
                living[key] = id
            }
        }
        #expect(seen.count > 20 && seen.allSatisfy { $0.slot < 20 })
    }
}
