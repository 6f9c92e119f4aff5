// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// When a connection that neither side ends is ended: docs/promises.md, "Defaults".
package struct ConnectionLimits: Sendable, Hashable {
    /// Longest time without a byte, either way; nil for no limit. The end is a reset of both sides, so that nobody takes
    /// it for the end of what the other had to say.
    package var idle: Duration?
    /// The same once one side has ended its direction; the shorter of the two counts.
    package var halfClosed: Duration?
    package var deadPeer: DeadPeerPolicy

    package init(idle: Duration? = nil, halfClosed: Duration? = nil, deadPeer: DeadPeerPolicy = DeadPeerPolicy()) {
        for limit in [idle, halfClosed] {
            precondition((limit ?? .seconds(1)) > .zero, "a limit is \(limit ?? .zero); allowed: more than 0")
        }
        self.idle = idle
        self.halfClosed = halfClosed
        self.deadPeer = deadPeer
    }
}

/// How long a peer may leave everything unanswered that the kernel sends it again, or asks it about its closed window.
///
/// Together as long as keepalive takes for a peer that nothing is sent to, and a little: 10 s + 30 s, docs/promises.md,
/// "The relay". Behind a closed window the time runs from the next probe, which the kernel sends ever more rarely.
package struct DeadPeerPolicy: Sendable, Hashable {
    /// From a write to the first look at what became of it.
    package var firstLook: Duration
    /// Between looks, for as long as there are bytes on their way.
    package var interval: Duration
    /// Without any answer at all looks since the first that found none.
    package var patience: Duration

    package init(
        firstLook: Duration = .seconds(10), interval: Duration = .seconds(5), patience: Duration = .seconds(30)
    ) {
        precondition(interval > .zero, "interval is \(interval); allowed: more than 0")
        self.firstLook = firstLook
        self.interval = interval
        self.patience = patience
    }
}
