// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Tells a dead peer from a slow reader, by what the kernel knows of the bytes on their way to it: no I/O in here.
///
/// A peer that lives acknowledges: data that is sent again, or the probes of its closed window. One that leaves all of it
/// unanswered for long enough is dead. Keepalive cannot tell, because the kernel sends none while data is on its way, and
/// TCP_USER_TIMEOUT ends slow readers too (docs/promises.md, "Defaults").
struct PeerWatch {
    /// The policy in the workers' own unit.
    struct Limits {
        let firstLook: UInt64
        let interval: UInt64
        let patience: UInt64

        init(_ policy: DeadPeerPolicy) {
            firstLook = policy.firstLook.nanoseconds
            interval = policy.interval.nanoseconds
            patience = policy.patience.nanoseconds
        }
    }

    /// What TCP_INFO says.
    struct Reading {
        /// Retransmissions in a row that nothing came back for (tcpi_retransmits).
        var unansweredRetransmits: Int
        /// The same for probes of a closed window (tcpi_probes).
        var unansweredProbes: Int
        /// Nanoseconds since the peer's last acknowledgement, of anything (tcpi_last_ack_recv).
        var sinceLastAnswer: UInt64
    }

    enum Verdict: Equatable {
        case alive
        /// Nothing came back so far.
        case silent
        case dead
    }

    /// The first look that found the peer silent, of those in a row; 0 when the last one did not.
    private var silentSince: UInt64 = 0

    /// - Parameter reading: nil when all bytes are acknowledged, or the socket is not TCP's.
    mutating func looked(_ reading: Reading?, now: UInt64, limits: Limits) -> Verdict {
        guard let reading, reading.unansweredRetransmits > 0 || reading.unansweredProbes > 0 else {
            silentSince = 0
            return .alive
        }
        // An answer between two looks begins the silence anew, though the next probe is already unanswered.
        let lastAnswer = now - min(now, reading.sinceLastAnswer)
        if silentSince == 0 || lastAnswer > silentSince { silentSince = now }
        return now - silentSince >= limits.patience ? .dead : .silent
    }
}
