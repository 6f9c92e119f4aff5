// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel
internal import Synchronization

/// What changes per instance, shared by all workers: arrays indexed by slot, of relaxed atomics.
///
/// A swap of snapshots loses nothing of it, and a count is the process's whatever the number of workers. A slot has one
/// tenant at a time: its next one comes only after `hasReleased` was true for the last.
final class InstanceLedger: @unchecked Sendable {
    /// Slots there are: the most instances a process takes, see `InstanceID.slot`.
    static let capacity = 50_000

    // Safety: the cells consist of atomics only, and live as long as this.
    let cells: InstanceCells

    init() {
        // From calloc, so that cells that are never used cost no memory; zero bytes are an atomic zero.
        guard let memory = calloc(Self.capacity, MemoryLayout<InstanceCell>.stride) else {
            preconditionFailure("no memory for the instances' counters")
        }
        cells = InstanceCells(base: memory.bindMemory(to: InstanceCell.self, capacity: Self.capacity))
    }

    deinit { free(cells.base) }

    /// A table with the instance in it exists from now on.
    func addReference(_ id: InstanceID) {
        precondition(id.slot < UInt32(Self.capacity), "slot is \(id.slot); allowed: 0..<\(Self.capacity)")
        let change = cells[id].pointee.generation.max(id.generation, ordering: .relaxed)
        if change.oldValue != change.newValue { cells[id].pointee.forget() }
        cells[id].pointee.references.add(1, ordering: .relaxed)
    }

    /// The table is gone: no worker can pick from it any more.
    func removeReference(_ id: InstanceID) {
        cells[id].pointee.references.subtract(1, ordering: .releasing)
    }

    /// - Parameter room: connections that the instance may have.
    /// - Returns: false when it has them: of workers that come at once for the last place one gets it.
    func takePlace(_ id: InstanceID, room: UInt32 = .max) -> Bool {
        guard cells[id].pointee.open.add(1, ordering: .relaxed).oldValue >= room else { return true }
        connectionClosed(id)
        return false
    }

    func connectionClosed(_ id: InstanceID) { cells[id].pointee.open.subtract(1, ordering: .releasing) }

    /// Connections that run to the instance, or try to; 0 for one that has left its slot.
    func openConnections(_ id: InstanceID) -> Int {
        guard id.slot < UInt32(Self.capacity) else { return 0 }
        guard cells[id].pointee.generation.load(ordering: .relaxed) == id.generation else { return 0 }
        return Int(cells[id].pointee.open.load(ordering: .acquiring))
    }

    /// Whether nothing of the instance is left: no table to pick it from, no connection.
    func hasReleased(_ id: InstanceID) -> Bool {
        guard id.slot < UInt32(Self.capacity) else { return true }
        let cell = cells[id]
        guard cell.pointee.generation.load(ordering: .relaxed) == id.generation else { return true }
        // In this order: a connection is counted before its table can go.
        return cell.pointee.references.load(ordering: .acquiring) == 0
            && cell.pointee.open.load(ordering: .acquiring) == 0
    }
}
