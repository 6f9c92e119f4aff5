// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Why a connection ended, and on whose account.
package enum CloseReason: UInt8, Sendable, Hashable, CaseIterable {
    /// Both sides ended, one after the other, and all bytes were handed over.
    case finished
    /// The client reset the connection or stopped answering (see the error number).
    case clientReset
    /// The client left before any instance had accepted.
    case clientGone
    /// The instance reset the connection or stopped answering (see the error number).
    case backendReset
    /// No instance accepted in the time that a client waits (the error number is the last attempt's).
    case connectFailed
    /// Every instance had as many connections as it may have (`LinkPolicy.connectionsPerInstance`) for as long as a client
    /// waits.
    case noRoom
    /// The link had no instance at all.
    case noInstance
    /// No byte for as long as `ConnectionLimits.idle`.
    case idleLimit
    /// One side had ended, and no byte came for as long as `ConnectionLimits.halfClosed`.
    case halfClosedLimit
    /// `RelayEngine.cut` with `.instanceGone`.
    case cutInstanceGone
    /// `RelayEngine.cut` with `.requested`.
    case cutRequested
    /// Still open at the deadline of `RelayEngine.drain`.
    case drainDeadline
    /// Still open at the deadline of `RelayEngine.shutdown`.
    case shutdownDeadline
    /// The kernel refused this process something that the connection needs (see the error number).
    case resources

    package enum Side: Sendable, Hashable, CaseIterable {
        case client, backend, engine
    }

    /// Who ended it; the engine for an orderly end of both sides as well.
    package var side: Side {
        switch self {
        case .clientReset, .clientGone: .client
        case .backendReset, .connectFailed: .backend
        case .finished, .noRoom, .noInstance, .idleLimit, .halfClosedLimit, .cutInstanceGone, .cutRequested,
            .drainDeadline,
            .shutdownDeadline, .resources:
            .engine
        }
    }

    init(_ cut: CutReason) {
        switch cut {
        case .instanceGone: self = .cutInstanceGone
        case .requested: self = .cutRequested
        }
    }
}
