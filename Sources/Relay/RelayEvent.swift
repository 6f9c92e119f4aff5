// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
package import ServiceModel

/// One thing that happened in a worker, of fixed size: nothing in it is allocated.
package enum RelayEvent: Sendable, Hashable {
    case connectionEnded(ConnectionEnd)
    case connectFailed(ConnectFailure)
    /// An instance takes no new connections for a while, for its failures.
    case instanceEjected(InstanceEjection)
    /// Its time is over, and it is picked again.
    case instanceReturned(Link.ID, InstanceID)
    /// A worker stopped accepting: at the connection limit (`errorNumber` 0), or EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL.
    case acceptPaused(errorNumber: Int32)
    /// It accepts again.
    case acceptResumed
    /// A link that was told to drain has no connection left, in any worker.
    case linkDrained(Link.ID)
}

/// The end of one client's connection; exactly one for each that was accepted, unless the ring was full.
package struct ConnectionEnd: Sendable, Hashable {
    package let link: Link.ID
    /// Nil when none had accepted.
    package let instance: InstanceID?
    /// Nil for a client without an IP address.
    package let client: Endpoint?
    package let reason: CloseReason
    /// The `errno` behind the reason, 0 where there is none.
    package let errorNumber: Int32
    /// Bytes that the client sent and the instance's socket took.
    package let bytesFromClient: UInt64
    /// Bytes that the instance sent and the client's socket took.
    package let bytesFromBackend: UInt64
    /// From accept to close.
    package let duration: Duration
}

/// An instance that did not accept a connection.
package struct ConnectFailure: Sendable, Hashable {
    package let link: Link.ID
    package let instance: InstanceID
    /// ECONNREFUSED, ETIMEDOUT (also: not within the attempt's time), EHOSTUNREACH…; EADDRNOTAVAIL is no fault of the
    /// instance: this host has no port left towards it.
    package let errorNumber: Int32

    /// Whether the instance is to blame; false where this host lacked a port.
    package var isInstanceAtFault: Bool { errorNumber != EADDRNOTAVAIL }
}

/// An instance that failed too often (`EjectionPolicy`).
package struct InstanceEjection: Sendable, Hashable {
    package let link: Link.ID
    package let instance: InstanceID
    /// For how long.
    package let duration: Duration
    /// The `errno` of its last failure; 0 when it had accepted, and ended the connection at once without a byte.
    package let errorNumber: Int32
}
