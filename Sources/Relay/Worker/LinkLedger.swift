// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel
internal import Synchronization

/// One worker's counters of one link; that worker alone writes them. 64 bytes: a cache line of its own, where it begins at
/// one (`LinkLedger.init`).
struct LinkCounters: ~Copyable {
    let accepted = Atomic<UInt64>(0)
    let bytesFromClients = Atomic<UInt64>(0)
    let bytesFromBackends = Atomic<UInt64>(0)
    let failedConnects = Atomic<UInt64>(0)
    let portShortages = Atomic<UInt64>(0)
    let refusedNoInstance = Atomic<UInt64>(0)
    let refusedUnreachable = Atomic<UInt64>(0)
    let ejections = Atomic<UInt64>(0)
}

/// What all workers know of one link: its counters, and how far its draining has come.
final class LinkLedger: @unchecked Sendable {
    let id: Link.ID
    // Safety: atomics only, which live as long as this; `counters(of:)` gives each worker its own line.
    private let counters: UnsafeMutablePointer<LinkCounters>
    /// Connections open now, in all workers.
    let openCount: UnsafeMutablePointer<Atomic<Int>>
    private let workers: Int
    private let drainingWorkers = Atomic<Int>(0)
    private let hasReportedDrained = Atomic<Bool>(false)

    init(id: Link.ID, workers: Int) {
        self.id = id
        self.workers = workers
        openCount = Self.allocate(1)
        openCount.initialize(to: Atomic(0))
        counters = Self.allocate(workers)
        for index in 0..<workers { (counters + index).initialize(to: LinkCounters()) }
    }

    deinit {
        counters.deinitialize(count: workers)
        counters.deallocate()
        openCount.deinitialize(count: 1)
        openCount.deallocate()
    }

    /// From the beginning of a cache line on, and nothing else in the last: malloc alone aligns to 16 bytes, and two workers
    /// that count bytes in one line would take it from each other with every message.
    private static func allocate<Element: ~Copyable>(_ count: Int) -> UnsafeMutablePointer<Element> {
        let bytes = (count * MemoryLayout<Element>.stride + cacheLine - 1) / cacheLine * cacheLine
        return UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: cacheLine)
            .bindMemory(to: Element.self, capacity: count)
    }

    /// Of every x86-64 and of most arm64 processors.
    private static let cacheLine = 64

    func counters(of worker: Int) -> UnsafeMutablePointer<LinkCounters> { counters + worker }

    /// A worker has stopped accepting for the link because the link drains.
    func drainBegan() { drainingWorkers.add(1, ordering: .sequentiallyConsistent) }

    /// A worker accepts for the link again, which was opened once more.
    func drainEnded() {
        drainingWorkers.subtract(1, ordering: .sequentiallyConsistent)
        hasReportedDrained.store(false, ordering: .sequentiallyConsistent)
    }

    /// - Returns: true once, to the first who asks after all workers stopped and no connection is left.
    func takeDrained() -> Bool {
        drainingWorkers.load(ordering: .sequentiallyConsistent) == workers
            && openCount.pointee.load(ordering: .sequentiallyConsistent) == 0
            && !hasReportedDrained.exchange(true, ordering: .sequentiallyConsistent)
    }

    var totals: RelayStatistics.Totals {
        var totals = RelayStatistics.Totals(link: id)
        totals.openConnections = openCount.pointee.load(ordering: .relaxed)
        for index in 0..<workers {
            totals.accepted += counters[index].accepted.load(ordering: .relaxed)
            totals.bytesFromClients += counters[index].bytesFromClients.load(ordering: .relaxed)
            totals.bytesFromBackends += counters[index].bytesFromBackends.load(ordering: .relaxed)
            totals.failedConnects += counters[index].failedConnects.load(ordering: .relaxed)
            totals.portShortages += counters[index].portShortages.load(ordering: .relaxed)
            totals.refusedNoInstance += counters[index].refusedNoInstance.load(ordering: .relaxed)
            totals.ejections += counters[index].ejections.load(ordering: .relaxed)
            totals.refusedUnreachable += counters[index].refusedUnreachable.load(ordering: .relaxed)
        }
        return totals
    }
}

extension Atomic where Value == UInt64 {
    /// Adds to a counter that only the calling thread writes: a plain load and store, no locked instruction.
    func count(_ more: UInt64 = 1) {
        store(load(ordering: .relaxed) &+ more, ordering: .relaxed)
    }
}
