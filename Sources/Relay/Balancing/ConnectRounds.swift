// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel

/// Which instance a client is tried with next, and when it is given up: one for each connection, without any I/O.
///
/// Rounds of a few different instances with a pause between them, until the time is over: docs/promises.md, "Defaults". A new
/// round prefers instances that were not tried yet; of those it remembers the last eight.
struct ConnectRounds {
    enum Step: Equatable {
        /// Connect to the table's instance at this index, until `deadline` at the latest.
        case attempt(index: Int, deadline: UInt64)
        /// Ask again at this time.
        case pause(until: UInt64)
        /// The link has no instance.
        case noInstance
        /// The time is over.
        case giveUp
    }

    /// The policy in the workers' own unit.
    struct Limits {
        let attempt: UInt64
        let perRound: Int
        let pause: UInt64
        let total: UInt64

        init(_ policy: RetryPolicy) {
            attempt = policy.attemptTimeout.nanoseconds
            perRound = policy.instancesPerRound
            pause = policy.roundPause.nanoseconds
            total = policy.total.nanoseconds
        }
    }

    private static let memory = 8

    private let deadline: UInt64
    private var triedInRound = 0
    private var isFirstRound = true
    /// Of `tried`, the latest last. This round's are its tail.
    private var triedCount = 0
    private var tried = InlineArray<8, InstanceID>(repeating: InstanceID(slot: 0, generation: 0))
    /// Where `.first` goes on looking.
    private var position = 0

    init(now: UInt64, limits: Limits) {
        deadline = now + limits.total
    }

    /// - Parameters:
    ///   - turn: the link's place in its order; moved on by each pick.
    ///   - jitter: 0..<1, for the pause.
    mutating func next(
        of candidates: Candidates, _ turn: inout Turn, limits: Limits, _ random: inout QuickRandom, jitter: Double
    ) -> Step {
        let count = candidates.table.count
        guard count > 0 else { return .noInstance }
        guard candidates.now < deadline else { return .giveUp }
        if triedInRound < min(limits.perRound, count) {
            if let index = pick(of: candidates, &turn, &random) {
                remember(candidates.table.ids[index])
                switch candidates.balance {
                case .first: position = index + 1
                case .roundRobin: turn.cursor = index + 1
                case .weightedRoundRobin, .leastConnections, .randomOfTwo, .sourceHash: break
                }
                return .attempt(index: index, deadline: min(deadline, candidates.now + limits.attempt))
            }
        }
        return endRound(now: candidates.now, limits: limits, jitter: jitter)
    }

    /// Ends the round early, as when this process lacks descriptors: another instance would not help.
    mutating func endRound(now: UInt64, limits: Limits, jitter: Double) -> Step {
        triedInRound = 0
        isFirstRound = false
        let again = now + limits.pause * 3 / 4 + UInt64(Double(limits.pause / 2) * jitter)
        return again < deadline ? .pause(until: again) : .giveUp
    }

    /// The one whose turn it is, in the first tier that has one that was not tried, is in use and has room; then the
    /// next best in order.
    private func pick(of candidates: Candidates, _ turn: inout Turn, _ random: inout QuickRandom) -> Int? {
        let ids = candidates.table.ids
        for index in 0..<candidates.table.tierCount {
            let tier = candidates.table.tiers[index]
            let proposed = candidates.propose(in: tier, &turn, &random) { index, random in
                isFresh(index, candidates) && candidates.isItsShare(index, &random)
            }
            if let proposed { return proposed }
            let start = candidates.start(in: tier, position, turn, &random)
            let next =
                first(of: tier, from: start) { isFresh($0, candidates) && candidates.isItsShare($0, &random) }
                ?? first(of: tier, from: start) { isFresh($0, candidates) }
            if let next { return next }
        }
        // Nobody of the first kind: one that was tried in an earlier round may be well again; so may one that is out of
        // use, but only when a whole round of the others was in vain.
        let again = first(of: candidates, turn, &random) { index in
            !isOfThisRound(ids[index]) && !candidates.isOut(index) && !candidates.isFull(index)
        }
        if again != nil || isFirstRound { return again }
        return first(of: candidates, turn, &random) { !isOfThisRound(ids[$0]) && !candidates.isFull($0) }
    }

    private func isFresh(_ index: Int, _ candidates: Candidates) -> Bool {
        !wasTried(candidates.table.ids[index], since: 0) && !candidates.isOut(index) && !candidates.isFull(index)
    }

    /// The first of all, tier by tier.
    private func first(
        of candidates: Candidates, _ turn: Turn, _ random: inout QuickRandom, where isGood: (Int) -> Bool
    ) -> Int? {
        for index in 0..<candidates.table.tierCount {
            let tier = candidates.table.tiers[index]
            let start = candidates.start(in: tier, position, turn, &random)
            if let found = first(of: tier, from: start, where: isGood) { return found }
        }
        return nil
    }

    private func first(of tier: LinkTable.Tier, from start: Int, where isGood: (Int) -> Bool) -> Int? {
        for offset in 0..<tier.count {
            let index = tier.start + (start + offset) % tier.count
            if isGood(index) { return index }
        }
        return nil
    }

    private func isOfThisRound(_ id: InstanceID) -> Bool { wasTried(id, since: triedCount - triedInRound) }

    private func wasTried(_ id: InstanceID, since oldest: Int) -> Bool {
        for index in oldest..<triedCount where tried[index] == id { return true }
        return false
    }

    private mutating func remember(_ id: InstanceID) {
        if triedCount == Self.memory {
            for index in 1..<Self.memory { tried[index - 1] = tried[index] }
            triedCount -= 1
        }
        tried[triedCount] = id
        triedCount += 1
        triedInRound += 1
    }
}
