// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// What an `EndpointTable` wants done, or told.
package enum EndpointAction: Sendable, Hashable {
    /// Ask the registry, within 1 s, whether the lease still lives; the answer goes to `leaseAnswered`.
    case askLease(RegistryLease, question: Int)
    /// Connect, within 1 s; the answer goes to `probeAnswered`.
    case probe(Endpoint, question: Int)
    /// Look it up, now and then; the answers go to `resolved`.
    case resolve(name: String)
    case tell(EndpointNotice)
}

/// A change of state that operators want to know of, told once.
package enum EndpointNotice: Sendable, Hashable {
    case skipped(key: String, SkipReason)
    /// - until: in the table's time.
    case held(key: String, Endpoint, until: Duration)
    case holdEnded(key: String, Endpoint, HoldEnd)
}

/// Why an instance is no longer held. The raw value is what logs show.
package enum HoldEnd: String, Sendable, Hashable {
    /// Its endpoint stands in the registry again.
    case returned
    /// Its key stands in the registry again, for something else or to be drained.
    case replaced
    /// An operator takes it out of use.
    case drained
    /// It accepts no connections any more.
    case refused
    /// `hold` is over.
    case expired
}
