// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel
internal import Synchronization

/// Where a worker stands in a link's order of turns.
struct Turn {
    /// The next in turn.
    var cursor: Int
    /// The next point of all weights, 2^64 of them.
    var point: UInt64

    /// - Parameter worker: workers begin at different instances.
    init(worker: Int) {
        cursor = worker
        point = UInt64(truncatingIfNeeded: worker) &* 0xd1b5_4a32_d192_ed03
    }

    /// By the golden ratio: any number of successive points lie spread as evenly as can be (Knuth, The Art of Computer
    /// Programming 3, 6.4, exercise 9), so that each instance comes in turn as often as its weight says, and no list of
    /// turns is needed.
    mutating func nextPoint() -> UInt64 {
        point &+= 0x9e37_79b9_7f4a_7c15
        return point
    }
}

/// The instances of a link as one client finds them, and the order in which its kind of balance proposes them.
struct Candidates {
    let table: LinkTable.View
    let cells: InstanceCells
    let balance: Balance
    /// More than half of the service is out of use: all are used, as if nothing had happened.
    var isPanicking = false
    let now: UInt64
    /// Of the client's address; nil where it has none.
    var source: UInt64?
    let ejection: EjectionPolicy.Limits
    /// Connections that one may have; others wait, or go elsewhere.
    var room = UInt32.max

    /// Instances looked at for one pick by the number of connections: more choices than some make hardly a difference
    /// (Mitzenmacher, 2001: with d choices the longest of n queues is log log n / log d beyond the mean).
    static let window = 16
    /// Draws before all are looked through in order: with half of them out of use, one in 256 picks comes to that.
    private static let draws = 8

    func isOut(_ index: Int) -> Bool { !isPanicking && cells[table.ids[index]].pointee.outUntil > now }

    /// Whether chance lets an instance that is just back have this one.
    func isItsShare(_ index: Int, _ random: inout QuickRandom) -> Bool {
        // Active and passive: there is one to be used, and no share.
        guard balance != .first else { return true }
        let share = cells[table.ids[index]].pointee.share(now: now, ejection)
        return share >= 1 || Double.random(in: 0..<1, using: &random) < share
    }

    func isFull(_ index: Int) -> Bool { cells[table.ids[index]].pointee.open.load(ordering: .relaxed) >= room }

    /// The instance of a tier whose turn it is, of those that `isGood` accepts. - Returns: nil when a few draws found none.
    func propose(
        in tier: LinkTable.Tier, _ turn: inout Turn, _ random: inout QuickRandom,
        _ isGood: (Int, inout QuickRandom) -> Bool
    ) -> Int? {
        switch balance {
        case .roundRobin, .first:
            return nil
        case .weightedRoundRobin:
            for _ in 0..<Self.draws {
                let index = table.index(at: turn.nextPoint(), in: tier)
                if isGood(index, &random) { return index }
            }
        case .randomOfTwo:
            for _ in 0..<Self.draws {
                let one = table.index(at: random.next(), in: tier)
                let other = table.index(at: random.next(), in: tier)
                switch (isGood(one, &random), isGood(other, &random)) {
                case (true, true): return isLess(other, than: one) ? other : one
                case (true, false): return one
                case (false, true): return other
                case (false, false): continue
                }
            }
        case .leastConnections:
            return least(of: tier, &turn, &random, isGood)
        case .sourceHash:
            guard let source, let sources = tier.sources else { return nil }
            for draw in 0..<Self.draws {
                let index = sources.pick(source, draw: draw)
                if isGood(index, &random) { return index }
            }
        }
        return nil
    }

    /// Where to begin when all of a tier are looked through in order, from its first one on.
    /// - Parameter position: behind the one that this client was given last.
    func start(in tier: LinkTable.Tier, _ position: Int, _ turn: Turn, _ random: inout QuickRandom) -> Int {
        switch balance {
        case .first: place(of: position, in: tier)
        case .roundRobin, .leastConnections: place(of: turn.cursor, in: tier)
        case .weightedRoundRobin, .randomOfTwo, .sourceHash: table.index(at: random.next(), in: tier) - tier.start
        }
    }

    /// A cursor counts on beyond the last instance; one that points into another tier begins at this one's first.
    private func place(of cursor: Int, in tier: LinkTable.Tier) -> Int {
        cursor > tier.start ? (cursor - tier.start) % tier.count : 0
    }

    /// The one with the fewest connections for its weight; of several, as where all are idle, the one whose turn it is: by
    /// weight, as nginx's least_conn has it, so that connections that are over before the next comes are shared out too.
    private func least(
        of tier: LinkTable.Tier, _ turn: inout Turn, _ random: inout QuickRandom,
        _ isGood: (Int, inout QuickRandom) -> Bool
    ) -> Int? {
        var best: Int?
        let start =
            table.sums == nil
            ? place(of: turn.cursor, in: tier) : table.index(at: turn.nextPoint(), in: tier) - tier.start
        let looked = min(tier.count, Self.window)
        for offset in 0..<looked {
            let index = tier.start + (start + offset) % tier.count
            guard isGood(index, &random) else { continue }
            if best.map({ isLess(index, than: $0) }) ?? true { best = index }
        }
        // Where all are looked at each time, turns decide between equals; else the next window is.
        turn.cursor =
            tier.count <= Self.window ? (best ?? tier.start + start) + 1 : tier.start + (start + looked) % tier.count
        return best
    }

    /// Whether an instance has fewer connections for its weight than another.
    private func isLess(_ index: Int, than other: Int) -> Bool {
        load(index) * UInt64(table.weights[other]) < load(other) * UInt64(table.weights[index])
    }

    private func load(_ index: Int) -> UInt64 {
        UInt64(cells[table.ids[index]].pointee.open.load(ordering: .relaxed))
    }
}
