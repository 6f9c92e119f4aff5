// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// One timer for each connection slot, at a grain of 10 ms; arming and cancelling cost the same however many there are.
///
/// A wheel of 1,024 buckets, each a doubly linked list through arrays indexed by slot: nothing is allocated but when the
/// slab grows. A deadline beyond one revolution (10 s) waits in its bucket for its own turn, and has the worker look at it
/// once a revolution until then: a hundred wakings a second at the most, however many there are.
struct TimerWheel: ~Copyable {
    static let tickNanoseconds: UInt64 = 10_000_000
    private static let buckets = 1024
    private static let none: Int32 = -1

    private let heads: UnsafeMutablePointer<Int32>
    /// A bit for each bucket that holds a timer: the next one is found in 17 looks, however far it is.
    private let occupied: UnsafeMutablePointer<UInt64>
    private var next: UnsafeMutablePointer<Int32>
    private var previous: UnsafeMutablePointer<Int32>
    /// Tick at which the slot's timer fires, 0 when it is not armed.
    private var dueTick: UnsafeMutablePointer<UInt64>
    private var capacity = 0
    /// Everything due before this tick has been popped.
    private var currentTick: UInt64
    private(set) var armedCount = 0

    init(now: UInt64) {
        heads = .allocate(capacity: Self.buckets)
        heads.initialize(repeating: Self.none, count: Self.buckets)
        occupied = .allocate(capacity: Self.buckets / 64)
        occupied.initialize(repeating: 0, count: Self.buckets / 64)
        next = .allocate(capacity: 0)
        previous = .allocate(capacity: 0)
        dueTick = .allocate(capacity: 0)
        currentTick = now / Self.tickNanoseconds
    }

    deinit {
        heads.deallocate()
        occupied.deallocate()
        next.deallocate()
        previous.deallocate()
        dueTick.deallocate()
    }

    /// Makes room for slots 0..<`newCapacity`.
    mutating func grow(to newCapacity: Int) {
        guard newCapacity > capacity else { return }
        next = Self.grown(next, from: capacity, to: newCapacity, filling: Self.none)
        previous = Self.grown(previous, from: capacity, to: newCapacity, filling: Self.none)
        dueTick = Self.grown(dueTick, from: capacity, to: newCapacity, filling: 0)
        capacity = newCapacity
    }

    /// Sets the slot's timer, instead of the one it may have. It fires at `deadline` or up to a tick later, not before.
    mutating func arm(_ slot: UInt32, at deadline: UInt64) {
        cancel(slot)
        let index = Int(slot)
        let tick = max(currentTick, (deadline + Self.tickNanoseconds - 1) / Self.tickNanoseconds, 1)
        dueTick[index] = tick
        let bucket = Self.bucket(of: tick)
        next[index] = heads[bucket]
        previous[index] = Self.none
        if heads[bucket] != Self.none { previous[Int(heads[bucket])] = Int32(slot) }
        heads[bucket] = Int32(slot)
        occupied[bucket / 64] |= 1 << UInt64(bucket % 64)
        armedCount += 1
    }

    mutating func cancel(_ slot: UInt32) {
        let index = Int(slot)
        guard dueTick[index] != 0 else { return }
        if previous[index] != Self.none {
            next[Int(previous[index])] = next[index]
        } else {
            let bucket = Self.bucket(of: dueTick[index])
            heads[bucket] = next[index]
            if next[index] == Self.none { occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64)) }
        }
        if next[index] != Self.none { previous[Int(next[index])] = previous[index] }
        dueTick[index] = 0
        armedCount -= 1
    }

    /// Takes one slot whose time has come, nil when there is none left. Slots armed meanwhile are taken if due; one that is
    /// armed for a time that has passed once nil was said fires in the next tick, so that a tick is looked through once,
    /// whoever waits in its bucket for a later revolution.
    mutating func popDue(now: UInt64) -> UInt32? {
        let nowTick = now / Self.tickNanoseconds
        if armedCount == 0 { currentTick = max(currentTick, nowTick) }
        while currentTick <= nowTick, armedCount > 0 {
            var candidate = heads[Self.bucket(of: currentTick)]
            while candidate != Self.none, dueTick[Int(candidate)] > nowTick { candidate = next[Int(candidate)] }
            if candidate != Self.none {
                cancel(UInt32(candidate))
                return UInt32(candidate)
            }
            currentTick += 1
        }
        return nil
    }

    /// When to look again, at the latest one revolution ahead; nil when nothing is armed.
    var nextDeadline: UInt64? {
        guard armedCount > 0 else { return nil }
        let first = Self.bucket(of: currentTick)
        let words = Self.buckets / 64
        for offset in 0...words {
            let word = (first / 64 + offset) % words
            var bits = occupied[word]
            // The first word counts from the current bucket on, and once more at the end up to it.
            let before = (UInt64(1) << UInt64(first % 64)) - 1
            if offset == 0 { bits &= ~before }
            if offset == words { bits &= before }
            guard bits != 0 else { continue }
            let bucket = word * 64 + bits.trailingZeroBitCount
            let distance = (bucket - first + Self.buckets) % Self.buckets
            return (currentTick + UInt64(distance)) * Self.tickNanoseconds
        }
        return nil
    }

    private static func bucket(of tick: UInt64) -> Int { Int(tick & UInt64(buckets - 1)) }

    private static func grown<Element: BitwiseCopyable>(
        _ old: UnsafeMutablePointer<Element>, from count: Int, to newCount: Int, filling: Element
    ) -> UnsafeMutablePointer<Element> {
        let new = UnsafeMutablePointer<Element>.allocate(capacity: newCount)
        new.update(from: old, count: count)
        (new + count).initialize(repeating: filling, count: newCount - count)
        old.deallocate()
        return new
    }
}
