// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel
internal import Synchronization

/// What one worker knows of one link. It never moves and lives as long as the worker: connections point at it.
struct WorkerLink: ~Copyable {
    let id: Link.ID
    let ledger: LinkLedger
    // Hot path: taken out of the ledger, as the view of the table below, so that counting a connection counts no
    // references.
    private let openCount: UnsafeMutablePointer<Atomic<Int>>
    let counters: UnsafeMutablePointer<LinkCounters>
    var balance = Balance.roundRobin
    /// `LinkPolicy.connectionsPerInstance`.
    var room = UInt32.max
    var turn: Turn
    var isDraining = false
    /// More than half of the instances are out of use, until then at least; 0 when they are not.
    private var panicUntil: UInt64 = 0
    /// Keeps what the view points into.
    private var table: LinkTable?
    // Hot path: taken out of the table, so that picking an instance counts no references.
    private(set) var view: LinkTable.View

    init(ledger: LinkLedger, worker: Int, emptyTable: LinkTable) {
        id = ledger.id
        self.ledger = ledger
        openCount = ledger.openCount
        counters = ledger.counters(of: worker)
        turn = Turn(worker: worker)
        view = emptyTable.view
        table = emptyTable
    }

    func connectionOpened() { openCount.pointee.add(1, ordering: .relaxed) }

    func connectionClosed() { openCount.pointee.subtract(1, ordering: .sequentiallyConsistent) }

    mutating func apply(_ table: LinkTable, _ cells: InstanceCells, now: UInt64) {
        self.table = table
        view = table.view
        // Ejections alone never come to that; instances that leave can.
        lookAround(cells, now: now)
    }

    /// Whether so many are out of use that it means nothing.
    mutating func isPanicking(_ cells: InstanceCells, now: UInt64) -> Bool {
        guard panicUntil != 0 else { return false }
        if panicUntil <= now { lookAround(cells, now: now) }
        return panicUntil != 0
    }

    private mutating func lookAround(_ cells: InstanceCells, now: UInt64) {
        var out = 0
        var earliest = UInt64.max
        for index in 0..<view.count {
            let until = cells[view.ids[index]].pointee.outUntil
            guard until > now else { continue }
            out += 1
            earliest = min(earliest, until)
        }
        panicUntil = out * 2 > view.count ? earliest : 0
    }

    /// Whether so many more may be out of use: at most half of the instances.
    func canSpare(_ more: Int, _ cells: InstanceCells, now: UInt64) -> Bool {
        var out = more
        for index in 0..<view.count where cells[view.ids[index]].pointee.outUntilInOrder > now { out += 1 }
        return out * 2 <= view.count
    }
}
