// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

/// What all workers count together.
final class EngineCounters: Sendable {
    let maxConnections: Int
    let descriptors: DescriptorRoom
    let pipes: PipeBudget
    let acceptPauses = Atomic<UInt64>(0)
    let staleEvents = Atomic<UInt64>(0)
    private let open = Atomic<Int>(0)

    init(maxConnections: Int, descriptors: DescriptorRoom, pipes: PipeBudget) {
        self.maxConnections = maxConnections
        self.descriptors = descriptors
        self.pipes = pipes
    }

    var openConnections: Int { open.load(ordering: .relaxed) }

    /// Takes one of the places for connections. - Returns: false when there is none.
    func takePlace() -> Bool {
        if open.add(1, ordering: .relaxed).newValue <= maxConnections { return true }
        givePlaceBack()
        return false
    }

    func givePlaceBack() { open.subtract(1, ordering: .relaxed) }
}
