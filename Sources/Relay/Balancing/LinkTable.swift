// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel

/// One snapshot of one link as the workers pick from it: built once, off the workers, never changed, shared by all.
///
/// As long as it lives its instances count as in use; it dies when the last worker has let go of it.
final class LinkTable: @unchecked Sendable {
    // Safety: what the view points at is written in `init` only, and freed in `deinit`.
    let view: View
    private let ledger: InstanceLedger

    /// Where a pick looks: pointers into the table, which somebody keeps meanwhile.
    struct View {
        /// Instances that take connections: those of weight 0 are left out. By priority for `Balance.first`.
        let count: Int
        let ids: UnsafePointer<InstanceID>
        let addresses: UnsafePointer<SocketAddress>
        let weights: UnsafePointer<UInt32>
        /// Of the weights up to each, its own included; nil for kinds that do not draw by weight.
        let sums: UnsafePointer<UInt64>?
        /// For `Balance.sourceHash` alone.
        let sources: SourceHash?

        /// The instance in whose part of all weights `point` lies: 0 is the beginning, 2^64 would be the end.
        func index(at point: UInt64) -> Int {
            guard let sums else { return Int(UInt64(count).multipliedFullWidth(by: point).high) }
            let wanted = sums[count - 1].multipliedFullWidth(by: point).high
            var (low, high) = (0, count - 1)
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] > wanted { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }

    /// - Parameter balance: decides what is prepared.
    init(_ snapshot: EndpointSnapshot, balance: Balance = .roundRobin, ledger: InstanceLedger) {
        var instances = snapshot.instances.filter { $0.weight > 0 }
        if balance == .first, instances.contains(where: { $0.priority != instances[0].priority }) {
            instances = Self.byPriority(instances)
        }
        let count = instances.count
        let ids = UnsafeMutablePointer<InstanceID>.allocate(capacity: count)
        let addresses = UnsafeMutablePointer<SocketAddress>.allocate(capacity: count)
        let weights = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        for (index, instance) in instances.enumerated() {
            (ids + index).initialize(to: instance.id)
            (addresses + index).initialize(to: SocketAddress(instance.endpoint))
            (weights + index).initialize(to: UInt32(clamping: instance.weight))
            ledger.addReference(instance.id)
        }
        let drawsByWeight = balance == .weightedRoundRobin || balance == .randomOfTwo
        view = View(
            count: count, ids: ids, addresses: addresses, weights: weights,
            sums: drawsByWeight ? Self.sums(weights, count) : nil,
            sources: balance == .sourceHash ? SourceHash(instances, weights: weights) : nil)
        self.ledger = ledger
    }

    deinit {
        for index in 0..<view.count { ledger.removeReference(view.ids[index]) }
        view.ids.deallocate()
        view.addresses.deallocate()
        view.weights.deallocate()
        view.sums?.deallocate()
        view.sources?.deallocate()
    }

    /// Those of one priority in the order in which they came.
    private static func byPriority(_ instances: [Instance]) -> [Instance] {
        let ranked = instances.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }
        return ranked.map(\.element)
    }

    private static func sums(_ weights: UnsafePointer<UInt32>, _ count: Int) -> UnsafePointer<UInt64> {
        let sums = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        var sum: UInt64 = 0
        for index in 0..<count {
            sum += UInt64(weights[index])
            (sums + index).initialize(to: sum)
        }
        return UnsafePointer(sums)
    }
}

extension SourceHash {
    /// - Parameter weights: lives as long as this is used; freed by others.
    init(_ instances: [Instance], weights: UnsafePointer<UInt32>) {
        let count = instances.count
        let hashes = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        let members = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        let starts = UnsafeMutablePointer<UInt32>.allocate(capacity: Self.groups + 1)
        let groupWeights = UnsafeMutablePointer<Double>.allocate(capacity: Self.groups)
        starts.initialize(repeating: 0, count: Self.groups + 1)
        groupWeights.initialize(repeating: 0, count: Self.groups)
        for (index, instance) in instances.enumerated() {
            (hashes + index).initialize(to: Self.hash(instance.endpoint))
            let group = Self.group(hashes[index])
            groupWeights[group] += Double(weights[index])
            starts[group + 1] += 1
        }
        for group in 0..<Self.groups { starts[group + 1] += starts[group] }
        // A counting sort: `next` is where each group's next member goes.
        var next = (0..<Self.groups).map { Int(starts[$0]) }
        for index in 0..<count {
            let group = Self.group(hashes[index])
            (members + next[group]).initialize(to: UInt32(index))
            next[group] += 1
        }
        self.init(
            members: members, starts: starts, groupWeights: groupWeights, hashes: hashes, weights: weights)
    }

    func deallocate() {
        members.deallocate()
        starts.deallocate()
        groupWeights.deallocate()
        hashes.deallocate()
    }

    private static func group(_ hash: UInt64) -> Int { Int(hash % UInt64(groups)) }
}
