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

    struct Held: Equatable {
        let lease: LeaseID
        var granted: Duration
        /// When etcd counts the lease as gone unless it hears of us.
        var deadline: ContinuousClock.Instant
        var nextKeepAlive: ContinuousClock.Instant
    }

    private(set) var held: Held?

    /// Keepalives are sent at a third of the granted time to live, as client/v3/lease.go does.
    static let keepAliveFraction = 3
    /// How soon an unanswered keepalive is repeated (client/v3 retryConnWait).
    static let repeatAfter = Duration.milliseconds(500)

    mutating func granted(_ lease: LeaseID, timeToLive: Duration, now: ContinuousClock.Instant) {
        held = Held(
            lease: lease, granted: timeToLive, deadline: now + timeToLive,
            nextKeepAlive: now + timeToLive / Self.keepAliveFraction)
    }

    /// A keepalive was answered. - Returns: the lease that is lost, when the answer says so: a time to live of 0 is how
    /// etcd says that it does not know the lease; it is no error.
    mutating func answered(_ lease: LeaseID, timeToLive: Duration, now: ContinuousClock.Instant) -> LeaseID? {
        guard var current = held, current.lease == lease else { return nil }
        guard timeToLive > .zero else {
            held = nil
            return lease
        }
        current.granted = timeToLive
        current.deadline = now + timeToLive
        current.nextKeepAlive = now + timeToLive / Self.keepAliveFraction
        held = current
        return nil
    }

    /// - Returns: the lease that nobody has answered for until its deadline.
    mutating func timePassed(now: ContinuousClock.Instant) -> LeaseID? {
        guard let current = held, now >= current.deadline else { return nil }
        held = nil
        return current.lease
    }

    /// The next thing to do; a keepalive handed out is due again after `repeatAfter` unless answered.
    mutating func next(now: ContinuousClock.Instant) -> Action {
        guard var current = held else { return .grant }
        guard now >= current.nextKeepAlive else { return .wait(until: min(current.nextKeepAlive, current.deadline)) }
        current.nextKeepAlive = now + Self.repeatAfter
        held = current
        return .keepAlive(current.lease)
    }
}
