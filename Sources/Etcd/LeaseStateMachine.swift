// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// One lease after another: which is in force, when to ask for it to be kept, and when it must be taken for lost.
///
/// Pure: time comes in with every event. The clock is the caller's; it must count suspend (`ContinuousClock` does), or
/// a machine that slept past its lease would go on believing in it.
struct LeaseStateMachine {
    enum Action: Equatable {
        case grant
        /// Nothing to do before the instant.
        case wait(until: ContinuousClock.Instant)
        case keepAlive(LeaseID)
    }

    /// What the passing of time means for the lease in force.
    enum Verdict: Equatable {
        /// Look again then.
        case good(until: ContinuousClock.Instant)
        /// Its time is over as far as we know, and etcd may know better (after a pause of this process, or of the leader):
        /// ask once, and say `answered` or `rechecked`.
        case recheck(LeaseID)
        case none
    }

    struct Held: Equatable {
        let lease: LeaseID
        var granted: Duration
        /// When etcd counts the lease as gone unless it hears of us.
        var deadline: ContinuousClock.Instant
        var nextKeepAlive: ContinuousClock.Instant
        /// When the keepalives were sent that nobody has answered on this stream, in order: etcd answers in order, too.
        var asked: [ContinuousClock.Instant] = []
    }

    private(set) var held: Held?

    /// Keepalives are sent at a third of the granted time to live, as client/v3/lease.go does.
    static let keepAliveFraction = 3
    /// How soon an unanswered keepalive is repeated (client/v3 retryConnWait).
    static let repeatAfter = Duration.milliseconds(500)
    /// A member that leaves keepalives unanswered for so long is left, where there is another: the PING that tells a hung
    /// one takes longer (15 s) than most leases live. An election takes 1 to 2 s.
    static let patience = Duration.seconds(2)

    mutating func granted(_ lease: LeaseID, timeToLive: Duration, now: ContinuousClock.Instant) {
        held = Held(
            lease: lease, granted: timeToLive, deadline: now + timeToLive,
            nextKeepAlive: now + timeToLive / Self.keepAliveFraction)
    }

    /// A keepalive of the stream was answered. - Returns: the lease that is lost, when the answer says so: a time to live
    /// of 0 is how etcd says that it does not know the lease; it is no error.
    mutating func answered(_ lease: LeaseID, timeToLive: Duration, now: ContinuousClock.Instant) -> LeaseID? {
        guard let current = held, current.lease == lease else { return nil }
        let asked = current.asked.first ?? now
        if !current.asked.isEmpty { held?.asked.removeFirst() }
        return rechecked(lease, timeToLive: timeToLive, askedAt: asked, now: now)
    }

    /// The question that `recheck` asked for was answered.
    /// - Parameter askedAt: from then on etcd counts, at the earliest: the answer may have waited for us.
    mutating func rechecked(
        _ lease: LeaseID, timeToLive: Duration, askedAt: ContinuousClock.Instant, now: ContinuousClock.Instant
    ) -> LeaseID? {
        guard var current = held, current.lease == lease else { return nil }
        guard timeToLive > .zero else {
            held = nil
            return lease
        }
        current.granted = timeToLive
        current.deadline = max(current.deadline, askedAt + timeToLive)
        current.nextKeepAlive = now + timeToLive / Self.keepAliveFraction
        held = current
        return nil
    }

    /// Time has passed.
    func verdict(now: ContinuousClock.Instant) -> Verdict {
        guard let held else { return .none }
        return now < held.deadline ? .good(until: held.deadline) : .recheck(held.lease)
    }

    /// The question that `recheck` asked for had no answer. - Returns: the lease that is lost with it.
    mutating func recheckFailed(of lease: LeaseID, now: ContinuousClock.Instant) -> LeaseID? {
        guard let held, held.lease == lease, now >= held.deadline else { return nil }
        self.held = nil
        return lease
    }

    /// The next thing to do; a keepalive handed out is due again after `repeatAfter` unless answered.
    mutating func next(now: ContinuousClock.Instant) -> Action {
        guard var current = held else { return .grant }
        guard now >= current.nextKeepAlive else { return .wait(until: current.nextKeepAlive) }
        current.nextKeepAlive = now + Self.repeatAfter
        current.asked.append(now)
        held = current
        return .keepAlive(current.lease)
    }

    /// A new stream, on which the lease is asked for at once: whoever it leads to has the same patience from now on.
    mutating func streamOpened(now: ContinuousClock.Instant) { held?.asked = [now] }

    /// Whether whoever we ask has been silent for too long.
    func isUnanswered(now: ContinuousClock.Instant) -> Bool {
        held?.asked.first.map { $0.duration(to: now) >= Self.patience } ?? false
    }
}
