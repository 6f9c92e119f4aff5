// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel

/// What a connection is about, beside its two halves.
struct Connection {
    enum Phase: UInt8 {
        /// The slot is free.
        case free
        /// An instance is asked to accept; the client's bytes stay in the kernel.
        case connecting
        /// Between two rounds of attempts.
        case waiting
        case relaying
        /// One side was reset; what it had sent is still on its way to the other.
        case resetting
    }

    enum Verdict: UInt8 {
        /// Nothing is known yet.
        case open
        /// The instance has said something.
        case well
        /// It ended the connection at once, and was blamed for it.
        case failed
    }

    var phase = Phase.free
    /// Whether the slot stands in the worker's list of halves to go on with; survives the slot's tenant.
    var isQueued = false
    /// What the connection has told of its instance.
    var verdict = Verdict.open
    /// Whether the instance's side has keepalive.
    var isKeptAlive = false
    /// The side that was reset, while `resetting`: 0 for the client, 1 for the backend.
    var resetSide: UInt32 = 0
    /// The `errno` of the last failure.
    var errorNumber: Int32 = 0
    /// Where it was accepted. Lives as long as the worker.
    var link: UnsafeMutablePointer<WorkerLink>?
    /// Who accepted it, or is asked to; counts as an open connection of the instance.
    var instance: InstanceID?
    var client: Endpoint?
    /// CLOCK_MONOTONIC at accept.
    var acceptedAt: UInt64 = 0
    /// The same when its instance had accepted.
    var connectedAt: UInt64 = 0
    /// The same when a byte moved last, or relaying began.
    var movedAt: UInt64 = 0
    /// When to look at what became of bytes written; 0 when none were since the last look that found all acknowledged. The
    /// first look is at a connection that has lived for so long, whatever it did.
    var lookAt: UInt64 = 0
    var rounds: ConnectRounds?
    /// While `resetting`: bytes that the other side has not acknowledged, and since when that has not changed.
    var unacknowledged = 0
    var unchangedSince: UInt64 = 0
    var nextFree: UInt32 = .max
}
