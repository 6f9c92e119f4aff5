// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux

/// What a relay is set up with; every value has the default that a careful operator would choose (docs/promises.md).
package struct RelayConfiguration: Sendable {
    /// Threads, 1...1024: by default one for each core that this process may use.
    package var workers: Int
    /// Connections that may be open at once; nil for what the descriptors allow, at most 100,000.
    package var maxConnections: Int?
    package var retry: RetryPolicy
    package var ejection: EjectionPolicy
    package var splicing: SplicePolicy
    package var limits: ConnectionLimits
    /// Records that a worker keeps for `RelayEvents` until they are taken, a power of two from 2 on.
    package var eventCapacity: Int

    package init(
        workers: Int = RelayConfiguration.usableCores,
        maxConnections: Int? = nil,
        retry: RetryPolicy = RetryPolicy(),
        ejection: EjectionPolicy = EjectionPolicy(),
        splicing: SplicePolicy = SplicePolicy(),
        limits: ConnectionLimits = ConnectionLimits(),
        eventCapacity: Int = 1024
    ) {
        precondition((1...1024).contains(workers), "workers is \(workers); allowed: 1...1024")
        precondition((maxConnections ?? 1) >= 1, "maxConnections is \(maxConnections ?? 0); allowed: 1 and more")
        precondition(
            eventCapacity >= 2 && eventCapacity & (eventCapacity - 1) == 0,
            "eventCapacity is \(eventCapacity); allowed: powers of two from 2"
        )
        self.workers = workers
        self.maxConnections = maxConnections
        self.retry = retry
        self.ejection = ejection
        self.splicing = splicing
        self.limits = limits
        self.eventCapacity = eventCapacity
    }

    /// Cores that the scheduler lets this process run on, at least 1.
    package static var usableCores: Int { max(1, Int(clinux_usable_cores())) }
}

/// How long a client is kept waiting for an instance that accepts: docs/promises.md, "Defaults".
///
/// Nothing has been sent to any instance yet, and the client's bytes are still in the kernel, so trying again is safe.
package struct RetryPolicy: Sendable, Hashable {
    /// Longest wait for one instance to accept.
    package var attemptTimeout: Duration
    /// Different instances that one round tries at most, 1...8.
    package var instancesPerRound: Int
    /// Between rounds, give or take a quarter.
    package var roundPause: Duration
    /// From the client's arrival: no attempt begins or goes on after it.
    package var total: Duration

    package init(
        attemptTimeout: Duration = .seconds(1),
        instancesPerRound: Int = 3,
        roundPause: Duration = .milliseconds(200),
        total: Duration = .seconds(5)
    ) {
        precondition((1...8).contains(instancesPerRound), "instancesPerRound is \(instancesPerRound); allowed: 1...8")
        self.attemptTimeout = attemptTimeout
        self.instancesPerRound = instancesPerRound
        self.roundPause = roundPause
        self.total = total
    }
}

extension Duration {
    /// Whole nanoseconds, 0 for a negative duration; the workers count in these.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? .max / 4 : min(.max / 4, whole + UInt64(attoseconds / 1_000_000_000))
    }
}
