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
    /// Of `tried`, the latest last. This round's are its tail.
    private var triedCount = 0
    private var tried = InlineArray<8, InstanceID>(repeating: InstanceID(slot: 0, generation: 0))
    /// Where `.first` goes on looking.
    private var position = 0

    init(now: UInt64, limits: Limits) {
        deadline = now + limits.total
    }

    /// - Parameter cursor: the link's place in its turn order; moved on by each pick.
    /// - Parameter jitter: 0..<1, for the pause.
    mutating func next(
        ids: UnsafePointer<InstanceID>, count: Int, balance: Balance, cursor: inout Int, now: UInt64, limits: Limits,
        jitter: Double
    ) -> Step {
        guard count > 0 else { return .noInstance }
        guard now < deadline else { return .giveUp }
        if triedInRound < min(limits.perRound, count) {
            let start = balance == .first ? position : cursor
            if let index = pick(ids: ids, count: count, from: start) {
                remember(ids[index])
                switch balance {
                case .first: position = index + 1
                case .roundRobin: cursor = index + 1
                }
                return .attempt(index: index, deadline: min(deadline, now + limits.attempt))
            }
        }
        return endRound(now: now, limits: limits, jitter: jitter)
    }

    /// Ends the round early, as when this process lacks descriptors: another instance would not help.
    mutating func endRound(now: UInt64, limits: Limits, jitter: Double) -> Step {
        triedInRound = 0
        let again = now + limits.pause * 3 / 4 + UInt64(Double(limits.pause / 2) * jitter)
        return again < deadline ? .pause(until: again) : .giveUp
    }

    /// The first from `start` on that was not tried, else the first that was not tried in this round.
    private func pick(ids: UnsafePointer<InstanceID>, count: Int, from start: Int) -> Int? {
        firstIndex(ids: ids, count: count, from: start, since: 0)
            ?? firstIndex(ids: ids, count: count, from: start, since: triedCount - triedInRound)
    }

    private func firstIndex(ids: UnsafePointer<InstanceID>, count: Int, from start: Int, since oldest: Int) -> Int? {
        for offset in 0..<count {
            let index = (start + offset) % count
            if !wasTried(ids[index], since: oldest) { return index }
        }
        return nil
    }

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
