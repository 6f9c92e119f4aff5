// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel
internal import Synchronization

/// What one worker knows of one link. It never moves and lives as long as the worker: connections point at it.
struct WorkerLink: ~Copyable {
    let id: Link.ID
    let ledger: LinkLedger
    // Hot path: taken out of the ledger, as the table's pointers below, so that counting a connection counts no references.
    private let openCount: UnsafeMutablePointer<Atomic<Int>>
    let counters: UnsafeMutablePointer<LinkCounters>
    var balance = Balance.roundRobin
    /// The next in turn.
    var cursor: Int
    var isDraining = false
    /// Keeps what the pointers below point into.
    private var table: LinkTable?
    // Hot path: taken out of the table, so that picking an instance counts no references.
    private(set) var ids: UnsafePointer<InstanceID>
    private(set) var addresses: UnsafePointer<SocketAddress>
    private(set) var count: Int

    init(ledger: LinkLedger, worker: Int, emptyTable: LinkTable) {
        id = ledger.id
        self.ledger = ledger
        openCount = ledger.openCount
        counters = ledger.counters(of: worker)
        cursor = worker
        ids = emptyTable.ids
        addresses = emptyTable.addresses
        count = emptyTable.count
        table = emptyTable
    }

    func connectionOpened() { openCount.pointee.add(1, ordering: .relaxed) }

    func connectionClosed() { openCount.pointee.subtract(1, ordering: .sequentiallyConsistent) }

    mutating func apply(_ table: LinkTable) {
        self.table = table
        ids = table.ids
        addresses = table.addresses
        count = table.count
    }
}
