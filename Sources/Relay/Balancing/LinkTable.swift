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
        /// Instances that take connections, by priority: those of weight 0 are left out.
        let count: Int
        let ids: UnsafePointer<InstanceID>
        let addresses: UnsafePointer<SocketAddress>
        let weights: UnsafePointer<UInt32>
        /// Of the weights up to each, its own included; nil for kinds that do not draw by weight.
        let sums: UnsafePointer<UInt64>?
        /// Which are to be used before which.
        let tiers: UnsafePointer<Tier>
        let tierCount: Int

        /// The instance in whose part of a tier's weights `point` lies: 0 is the beginning, 2^64 would be the end.
        func index(at point: UInt64, in tier: Tier) -> Int {
            guard let sums else { return tier.start + Int(UInt64(tier.count).multipliedFullWidth(by: point).high) }
            let before = tier.start > 0 ? sums[tier.start - 1] : 0
            let wanted = before + (sums[tier.end - 1] - before).multipliedFullWidth(by: point).high
            var (low, high) = (tier.start, tier.end - 1)
            while low < high {
                let middle = (low + high) / 2
                if sums[middle] > wanted { high = middle } else { low = middle + 1 }
            }
            return low
        }
    }

    /// Instances of one priority, which stand together in the table; never none.
    struct Tier {
        let start: Int
        let count: Int
        /// For `Balance.sourceHash` alone.
        let sources: SourceHash?

        var end: Int { start + count }
    }

    /// What a registry that is full of priorities can cost: those beyond share the last tier.
    static let maximumTiers = 16

    /// - Parameter balance: decides what is prepared.
    init(_ snapshot: EndpointSnapshot, balance: Balance = .roundRobin, ledger: InstanceLedger) {
        var instances = snapshot.instances
        if instances.contains(where: { $0.weight <= 0 }) { instances.removeAll { $0.weight <= 0 } }
        if instances.contains(where: { $0.priority != instances[0].priority }) {
            instances = Self.byPriority(instances)
        }
        let count = instances.count
        let ids = UnsafeMutablePointer<InstanceID>.allocate(capacity: count)
        let addresses = UnsafeMutablePointer<SocketAddress>.allocate(capacity: count)
        let weights = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        // By index: an iterator copies each instance, which counts references.
        for index in 0..<count {
            (ids + index).initialize(to: instances[index].id)
            (addresses + index).initialize(to: SocketAddress(instances[index].address))
            (weights + index).initialize(to: UInt32(clamping: instances[index].weight))
            ledger.addReference(instances[index].id)
        }
        let drawsByWeight =
            switch balance {
            case .weightedRoundRobin, .randomOfTwo: true
            // Among equals turns do, which are stricter.
            case .leastConnections: instances.contains { $0.weight != instances[0].weight }
            case .roundRobin, .first, .sourceHash: false
            }
        let ranges = Self.ranges(instances, balance)
        let tiers = UnsafeMutablePointer<Tier>.allocate(capacity: ranges.count)
        for (index, range) in ranges.enumerated() {
            let sources = balance == .sourceHash ? SourceHash(instances[range], weights: weights) : nil
            (tiers + index).initialize(to: Tier(start: range.lowerBound, count: range.count, sources: sources))
        }
        view = View(
            count: count, ids: ids, addresses: addresses, weights: weights,
            sums: drawsByWeight ? Self.sums(weights, count) : nil, tiers: tiers, tierCount: ranges.count)
        self.ledger = ledger
    }

    deinit {
        for index in 0..<view.count { ledger.removeReference(view.ids[index]) }
        view.ids.deallocate()
        view.addresses.deallocate()
        view.weights.deallocate()
        view.sums?.deallocate()
        for index in 0..<view.tierCount { view.tiers[index].sources?.deallocate() }
        view.tiers.deallocate()
    }

    /// Those of one priority in the order in which they came.
    private static func byPriority(_ instances: [Instance]) -> [Instance] {
        let ranked = instances.enumerated().sorted {
            ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset)
        }
        return ranked.map(\.element)
    }

    /// Where each priority's instances stand. `Balance.first` goes through all of them in order: to it they are one.
    private static func ranges(_ instances: [Instance], _ balance: Balance) -> [Range<Int>] {
        guard let last = instances.last else { return [] }
        guard balance != .first, instances[0].priority != last.priority else { return [instances.indices] }
        var ranges: [Range<Int>] = []
        var start = 0
        for index in 1..<instances.count where instances[index].priority != instances[index - 1].priority {
            guard ranges.count < maximumTiers - 1 else { break }
            ranges.append(start..<index)
            start = index
        }
        return ranges + [start..<instances.count]
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
    /// - Parameters:
    ///   - instances: of one tier, at their places in the table.
    ///   - weights: the table's; lives as long as this is used; freed by others.
    init(_ instances: ArraySlice<Instance>, weights: UnsafePointer<UInt32>) {
        let (first, count) = (instances.startIndex, instances.count)
        let hashes = UnsafeMutablePointer<UInt64>.allocate(capacity: count)
        let members = UnsafeMutablePointer<UInt32>.allocate(capacity: count)
        let starts = UnsafeMutablePointer<UInt32>.allocate(capacity: Self.groups + 1)
        let groupWeights = UnsafeMutablePointer<Double>.allocate(capacity: Self.groups)
        starts.initialize(repeating: 0, count: Self.groups + 1)
        groupWeights.initialize(repeating: 0, count: Self.groups)
        for (place, instance) in instances.enumerated() {
            (hashes + place).initialize(to: Self.hash(instance.address))
            let group = Self.group(hashes[place])
            groupWeights[group] += Double(weights[first + place])
            starts[group + 1] += 1
        }
        for group in 0..<Self.groups { starts[group + 1] += starts[group] }
        // A counting sort: `next` is where each group's next member goes.
        var next = (0..<Self.groups).map { Int(starts[$0]) }
        for place in 0..<count {
            let group = Self.group(hashes[place])
            (members + next[group]).initialize(to: UInt32(place))
            next[group] += 1
        }
        self.init(
            first: first, members: members, starts: starts, groupWeights: groupWeights, hashes: hashes,
            weights: weights + first)
    }

    func deallocate() {
        members.deallocate()
        starts.deallocate()
        groupWeights.deallocate()
        hashes.deallocate()
    }

    private static func group(_ hash: UInt64) -> Int { Int(hash % UInt64(groups)) }
}
