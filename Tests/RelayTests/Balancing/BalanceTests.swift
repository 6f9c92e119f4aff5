// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

/// Whom each kind of balance gives how much.
@Suite struct BalanceTests {
    private static let picks = 10_000

    /// Connections by slot.
    private func counts(of weights: [Int], _ balance: Balance, seed: UInt64 = 1, isKept: Bool) -> [Int] {
        var picks = Picks(weights, balance, seed: seed)
        var counts = [Int](repeating: 0, count: weights.count)
        for _ in 0..<Self.picks {
            let slot = picks.connect()
            counts[slot] += 1
            if !isKept { picks.end(slot) }
        }
        return counts
    }

    private static let weights = [
        [1, 1, 1, 1, 1], [1, 2, 3], [100, 300], [5, 1, 1], [1000, 100, 500, 50], [7, 11, 13, 17, 19, 23],
        (1...40).map { $0 % 5 + 1 },
    ]

    /// Of connections that stay.
    @Test(arguments: [Balance.weightedRoundRobin, .leastConnections, .randomOfTwo], weights)
    func sharesAreTheWeightsWithinFivePercent(balance: Balance, weights: [Int]) {
        expectShares(of: weights, balance, isKept: true, within: { 0.05 * $0 })
    }

    /// And of those that are over before the next one comes, when nothing is open anywhere.
    @Test(arguments: [Balance.weightedRoundRobin, .leastConnections], weights)
    func sharesOfShortConnectionsAreTheWeightsToo(balance: Balance, weights: [Int]) {
        expectShares(of: weights, balance, isKept: false, within: { 0.05 * $0 })
    }

    /// Chance alone decides then: its own spread (binomial, 4 standard deviations) comes on top.
    @Test(arguments: weights)
    func sharesOfShortConnectionsAreDrawnByWeight(weights: [Int]) {
        expectShares(of: weights, .randomOfTwo, isKept: false, within: { 4 * $0.squareRoot() })
    }

    private func expectShares(of weights: [Int], _ balance: Balance, isKept: Bool, within: (Double) -> Double) {
        for seed in UInt64(1)...3 {
            let counts = counts(of: weights, balance, seed: seed, isKept: isKept)
            let total = weights.reduce(0, +)
            for (slot, weight) in weights.enumerated() {
                let share = Double(Self.picks * weight) / Double(total)
                #expect(
                    abs(Double(counts[slot]) - share) <= within(share),
                    "\(slot): \(counts[slot]) of \(share), seed \(seed)")
            }
        }
    }

    @Test func roundRobinIsExact() {
        #expect(counts(of: [1, 1000, 7, 7], .roundRobin, isKept: false) == [2500, 2500, 2500, 2500])
    }

    /// No instance gets its connections in a row that others should have had in between.
    @Test func weightedTurnsAreSpread() {
        var picks = Picks([50, 25, 25], .weightedRoundRobin)
        var last = [0, 0, 0]
        for number in 1...1000 {
            let slot = picks.connect()
            if last[slot] > 0 { #expect(number - last[slot] <= (slot == 0 ? 3 : 8), "\(slot) waited too long") }
            last[slot] = number
        }
        let longest = [3, 8, 8]
        for slot in 0..<3 { #expect(1000 - last[slot] <= longest[slot]) }
    }

    @Test func workersBeginAtDifferentInstances() {
        for balance in [Balance.roundRobin, .weightedRoundRobin, .leastConnections] {
            let first = (0..<4).map { worker in
                var picks = Picks([1, 1, 1, 1], balance, worker: worker)
                return picks.connect()
            }
            #expect(Set(first).count >= 3, "\(balance): \(first)")
        }
    }

    @Test func leastConnectionsFillsUpWhoeverHasTheFewest() {
        var picks = Picks([1, 1, 1], .leastConnections)
        for _ in 0..<30 { _ = picks.connect() }
        for _ in 0..<10 { picks.end(1) }
        for _ in 0..<10 { #expect(picks.connect() == 1) }
    }

    /// Of many instances only some are looked at for each connection: none is forgotten, none overloaded.
    @Test func manyInstancesAreFilledEvenly() {
        for balance in [Balance.leastConnections, .randomOfTwo] {
            var picks = Picks([Int](repeating: 100, count: 1000), balance)
            var open = [Int](repeating: 0, count: 1000)
            for _ in 0..<10_000 { open[picks.connect()] += 1 }
            let allowed = balance == .leastConnections ? 9...11 : 6...13
            #expect(open.allSatisfy(allowed.contains), "\(balance): \(open.min() ?? 0)...\(open.max() ?? 0)")
        }
    }

    @Test(arguments: Balance.allCases) func weightZeroTakesNothing(balance: Balance) {
        var picks = Picks([0, 5, 0, 5], balance)
        for source in UInt64(0)..<200 { #expect([1, 3].contains(picks.connect(from: source))) }
    }

    @Test func firstGoesByPriorityAndThenByOrder() {
        let ledger = InstanceLedger()
        let instances = [(0, 20), (1, 10), (2, 20), (3, 10)].map { slot, priority in
            Instance(
                id: InstanceID(slot: UInt32(slot), generation: 1), endpoint: Endpoint(.loopbackV4, port: UInt16(slot)),
                priority: priority)
        }
        let table = LinkTable(EndpointSnapshot(sequence: 1, instances: instances), balance: .first, ledger: ledger)
        #expect((0..<4).map { table.view.ids[$0].slot } == [1, 3, 0, 2])
    }

    @Test(arguments: Balance.allCases) func noInstanceTwiceWithinARound(balance: Balance) {
        var random = QuickRandom(seed: 7)
        for seed in UInt64(1)...60 {
            let weights = (0..<Int.random(in: 1...30, using: &random)).map { _ in
                Int.random(in: 1...1000, using: &random)
            }
            var picks = Picks(weights, balance, seed: seed)
            for slot in weights.indices where Int.random(in: 0..<4, using: &random) == 0 { picks.eject(slot) }
            for source in UInt64(0)..<5 {
                for round in picks.attempts(of: source) {
                    #expect(Set(round).count == round.count && round.count <= 3, "seed \(seed): \(round)")
                }
            }
        }
    }
}
