// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// What happened in the workers, in order per worker; the access log and the health verdict read it.
///
/// The rings are bounded: what is not taken in time is dropped and counted, never waited for.
package final class RelayEvents: Sendable {
    private let rings: [EventRing]
    private let signal: EventSignal
    private let reader = Mutex(())

    init(rings: [EventRing], signal: EventSignal) {
        self.rings = rings
        self.signal = signal
    }

    /// An eventfd that becomes readable when there is something to drain. Poll it; never read or close it.
    package var descriptor: Int32 { signal.descriptor }

    /// Events lost because nobody drained in time.
    package var dropped: UInt64 { rings.reduce(0) { $0 + $1.dropped } }

    /// Takes everything that is there, and makes `descriptor` unreadable until there is more.
    package func drain(_ body: (RelayEvent) -> Void) {
        reader.withLock { _ in
            signal.rearm()
            for ring in rings {
                while let event = ring.pop() { body(event) }
            }
        }
    }
}

/// Wakes the reader of the events, once for any number of them.
///
/// ## Concurrency
/// The reader arms it and then looks into the rings; a writer fills its ring and then looks whether it is armed. Both
/// in sequentially consistent order: one of the two always sees the other.
final class EventSignal: Sendable {
    private let counter: EventCounter
    private let isArmed = Atomic<Bool>(true)

    init() throws(SyscallError) { counter = try EventCounter() }

    var descriptor: Int32 { counter.descriptor }

    /// Called by a worker after it has pushed events.
    func raise() {
        if isArmed.exchange(false, ordering: .sequentiallyConsistent) { counter.signal() }
    }

    func rearm() {
        counter.clear()
        isArmed.store(true, ordering: .sequentiallyConsistent)
    }
}
