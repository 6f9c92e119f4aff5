// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// When an instance is taken out of use for a while, and how it comes back: docs/promises.md, "The relay".
package struct EjectionPolicy: Sendable, Hashable {
    /// Failures in a row that take it out of use, 1 and more; nil: nothing does. 3, as HAProxy's `fall`.
    package var failures: Int?
    /// For how long the first time, and so much longer each time in a row.
    package var base: Duration
    /// At most; and an instance that was back for so long without leaving again begins anew.
    package var maximum: Duration
    /// An instance that ends a connection sooner than this after it was made, without a byte, has failed: so do the
    /// stand-ins that accept for a container with nothing behind them. 100 ms: they end at once, and no protocol in which
    /// the server speaks first ends a session before it has spoken.
    package var hastyEnd: Duration
    /// Time in which the share of an instance that is back grows from a tenth to all of it (HAProxy's `slowstart`,
    /// Envoy's `slow_start_config` with its least share of 10 %).
    package var slowStart: Duration

    package init(
        failures: Int? = 3, base: Duration = .seconds(5), maximum: Duration = .seconds(300),
        hastyEnd: Duration = .milliseconds(100), slowStart: Duration = .seconds(10)
    ) {
        precondition((failures ?? 1) >= 1, "failures is \(failures ?? 0); allowed: 1 and more")
        precondition(base > .zero && base <= maximum, "base is \(base); allowed: up to the maximum, \(maximum)")
        self.failures = failures
        self.base = base
        self.maximum = maximum
        self.hastyEnd = hastyEnd
        self.slowStart = slowStart
    }

    /// The policy in the workers' own unit.
    struct Limits {
        let failures: UInt32
        let base: UInt64
        let maximum: UInt64
        let hastyEnd: UInt64
        let slowStart: UInt64

        init(_ policy: EjectionPolicy) {
            failures = policy.failures.map { UInt32(clamping: $0) } ?? .max
            base = policy.base.nanoseconds
            maximum = policy.maximum.nanoseconds
            hastyEnd = policy.hastyEnd.nanoseconds
            slowStart = policy.slowStart.nanoseconds
        }
    }
}
