// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How long a worker stops accepting when it lacks descriptors or places: 100 ms, doubled up to 1 s while that goes on.
///
/// The two bounds are HAProxy's (docs/promises.md, "The relay"): long enough to cost nothing, short enough for nobody to notice.
struct AcceptPause {
    private static let shortest: UInt64 = 100_000_000
    private static let longest: UInt64 = 1_000_000_000

    /// When to try again; nil while accepting.
    private(set) var until: UInt64?
    /// From the first failure until accepting got by without one, however often it was tried between.
    private(set) var isInForce = false
    private var next = shortest

    var isPaused: Bool { until != nil }

    /// Accepting failed.
    mutating func failed(now: UInt64) {
        isInForce = true
        until = now + next
        next = min(Self.longest, next * 2)
    }

    /// Tries again; whether accepting works is still to be seen.
    mutating func retried() { until = nil }

    /// A client was accepted.
    mutating func succeeded() { next = Self.shortest }

    /// Everyone who waited was accepted.
    mutating func ended() {
        until = nil
        isInForce = false
        next = Self.shortest
    }
}
