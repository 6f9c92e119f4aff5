// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

/// Who comes before whom, and when the next get something.
@Suite struct TierTests {
    static let sharing = Balance.allCases.filter { $0 != .first }

    /// Slots 2 and 3 are preferred.
    private func preferring(_ balance: Balance, seed: UInt64 = 1) -> Picks {
        Picks([1, 1, 1, 1, 1], priorities: [7, 7, -3, -3, 9], balance, seed: seed)
    }

    @Test(arguments: sharing) func onlyTheLowestPriorityIsUsedWhileItLasts(balance: Balance) {
        var picks = preferring(balance)
        let used = Set((0..<200).map { picks.connect(from: $0) })
        #expect(used == [2, 3])
        picks.eject(2)
        #expect(Set((0..<50).map { picks.connect(from: $0) }) == [3])
        picks.eject(3)
        #expect(Set((0..<200).map { picks.connect(from: $0) }) == [0, 1])
    }

    @Test(arguments: Balance.allCases) func aClientWhosePreferredFailGoesOnToTheNextInTheSameRound(balance: Balance) {
        var picks = preferring(balance)
        let first = picks.attempts(of: 5).first ?? []
        #expect(Set(first.prefix(2).map(\.slot)) == [2, 3])
        #expect(first.count == 3 && [0, 1].contains(first[2].slot))
    }

    @Test(arguments: sharing) func whatThePreferredHaveNoRoomForSpillsOver(balance: Balance) {
        var picks = preferring(balance)
        picks.room = 3
        #expect(Set((0..<6).map { picks.connect(from: $0) }) == [2, 3])
        #expect(Set((0..<6).map { picks.connect(from: $0) }) == [0, 1])
        #expect((0..<3).map { picks.connect(from: $0) } == [4, 4, 4])
        #expect(picks.attempts().flatMap(\.self).isEmpty, "nobody has room")
        picks.end(3)
        #expect(picks.connect() == 3)
    }

    @Test func theActiveOneThatIsFullIsFollowedByTheNextInOrder() {
        var picks = Picks([1, 1, 1], priorities: [2, 1, 1], .first)
        picks.room = 2
        #expect((0..<6).map { _ in picks.connect() } == [1, 1, 2, 2, 0, 0])
    }

    @Test(arguments: [Balance.weightedRoundRobin, .leastConnections, .randomOfTwo], [5, -5])
    func weightsCountWithinATier(balance: Balance, priority: Int) {
        var picks = Picks([1000, 300, 100], priorities: [priority, 0, 0], balance)
        picks.eject(0)
        var counts = [0, 0, 0]
        for _ in 0..<4000 { counts[picks.connect()] += 1 }
        #expect(counts[0] == 0)
        #expect((2850...3150).contains(counts[1]), "\(counts)")
    }

    /// Whoever comes and goes in the second tier moves no client of the first.
    @Test func clientsStayWhereTheirHashSaysWhateverTheNextTierDoes() {
        var small = Picks([1, 1, 1], priorities: [0, 0, 1], .sourceHash)
        var large = Picks([1, 1, 1, 1, 1], priorities: [0, 0, 1, 1, 1], .sourceHash)
        for source in UInt64(0)..<300 { #expect(small.connect(from: source) == large.connect(from: source)) }
    }

    @Test func prioritiesBeyondTheLimitShareTheLastTier() {
        let count = LinkTable.maximumTiers + 9
        let picks = Picks([Int](repeating: 1, count: count), priorities: Array(0..<count), .roundRobin)
        let view = picks.table.view
        #expect(view.tierCount == LinkTable.maximumTiers)
        #expect((0..<view.tierCount).map { view.tiers[$0].count }.reduce(0, +) == count)
        #expect(view.tiers[view.tierCount - 1].count == 10)
    }

    /// Weight 0 is out of use whatever its priority.
    @Test func whoTakesNothingKeepsNobodyWaiting() {
        var picks = Picks([0, 1], priorities: [0, 1], .roundRobin)
        #expect(picks.connect() == 1)
    }
}
