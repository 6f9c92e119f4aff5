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

    private struct Cell: ~Copyable {
        let generation: Atomic<UInt32>
        /// Tables that hold the tenant and that a worker may still pick from.
        let references: Atomic<UInt32>
        /// Connections that run to it, or try to.
        let open: Atomic<UInt32>
    }

    // Safety: the cells consist of atomics only, and live as long as this.
    private let cells: UnsafeMutablePointer<Cell>

    init() {
        // From calloc, so that cells that are never used cost no memory; zero bytes are an atomic zero.
        guard let memory = calloc(Self.capacity, MemoryLayout<Cell>.stride) else {
            preconditionFailure("no memory for the instances' counters")
        }
        cells = memory.bindMemory(to: Cell.self, capacity: Self.capacity)
    }

    deinit { free(cells) }

    /// A table with the instance in it exists from now on.
    func addReference(_ id: InstanceID) {
        precondition(id.slot < UInt32(Self.capacity), "slot is \(id.slot); allowed: 0..<\(Self.capacity)")
        _ = cells[Int(id.slot)].generation.max(id.generation, ordering: .relaxed)
        cells[Int(id.slot)].references.add(1, ordering: .relaxed)
    }

    /// The table is gone: no worker can pick from it any more.
    func removeReference(_ id: InstanceID) {
        cells[Int(id.slot)].references.subtract(1, ordering: .releasing)
    }

    func connectionOpened(_ id: InstanceID) { cells[Int(id.slot)].open.add(1, ordering: .relaxed) }

    func connectionClosed(_ id: InstanceID) { cells[Int(id.slot)].open.subtract(1, ordering: .releasing) }

    /// Connections that run to the instance, or try to; 0 for one that has left its slot.
    func openConnections(_ id: InstanceID) -> Int {
        guard id.slot < UInt32(Self.capacity) else { return 0 }
        guard cells[Int(id.slot)].generation.load(ordering: .relaxed) == id.generation else { return 0 }
        return Int(cells[Int(id.slot)].open.load(ordering: .acquiring))
    }

    /// Whether nothing of the instance is left: no table to pick it from, no connection.
    func hasReleased(_ id: InstanceID) -> Bool {
        guard id.slot < UInt32(Self.capacity) else { return true }
        let cell = cells + Int(id.slot)
        guard cell.pointee.generation.load(ordering: .relaxed) == id.generation else { return true }
        // In this order: a connection is counted before its table can go.
        return cell.pointee.references.load(ordering: .acquiring) == 0
            && cell.pointee.open.load(ordering: .acquiring) == 0
    }
}
