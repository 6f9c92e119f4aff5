// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// A bounded queue from one worker to the one reader of `RelayEvents`.
///
/// ## Concurrency
/// One thread pushes, one at a time pops. `written` belongs to the first and `read` to the second; each publishes its
/// own with release and looks at the other's with acquire, so that a slot is never touched from both sides.
final class EventRing: @unchecked Sendable {
    // Safety: slots between `read` and `written` belong to the reader, all others to the writer.
    private let slots: UnsafeMutablePointer<RelayEvent>
    private let capacity: Int
    private let written = Atomic<Int>(0)
    private let read = Atomic<Int>(0)
    private let droppedCount = Atomic<UInt64>(0)

    /// - Parameter capacity: a power of two.
    init(capacity: Int) {
        self.capacity = capacity
        slots = .allocate(capacity: capacity)
    }

    deinit { slots.deallocate() }

    /// Records that did not fit, since the start.
    var dropped: UInt64 { droppedCount.load(ordering: .relaxed) }

    /// Appends, or counts the event as dropped when the reader is `capacity` events behind. The writer's thread only.
    func push(_ event: RelayEvent) {
        let next = written.load(ordering: .relaxed)
        guard next - read.load(ordering: .acquiring) < capacity else {
            droppedCount.add(1, ordering: .relaxed)
            return
        }
        (slots + (next & (capacity - 1))).initialize(to: event)
        written.store(next + 1, ordering: .sequentiallyConsistent)
    }

    /// Takes the oldest event. One reader at a time.
    func pop() -> RelayEvent? {
        let next = read.load(ordering: .relaxed)
        guard next < written.load(ordering: .sequentiallyConsistent) else { return nil }
        let event = (slots + (next & (capacity - 1))).move()
        read.store(next + 1, ordering: .releasing)
        return event
    }
}
