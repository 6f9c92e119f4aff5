// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How a link treats its new connections.
package struct LinkPolicy: Sendable, Hashable {
    package var balance: Balance

    package init(balance: Balance = .roundRobin) {
        self.balance = balance
    }
}

/// Which instance a new connection tries first, and which next. The raw value is what operators write.
///
/// In all kinds an instance of weight 0 takes none, and one that is out of use (`EjectionPolicy`) is passed over.
package enum Balance: String, Sendable, Hashable, CaseIterable {
    /// Each in turn, whatever its weight. Workers begin at different instances, so that few connections on many workers
    /// spread too.
    case roundRobin = "round-robin"
    /// Each in turn as often as its weight says, spread evenly.
    case weightedRoundRobin = "weighted-round-robin"
    /// The one with the fewest connections for its weight, of all workers: of up to 16 instances exactly, of more the
    /// least of 16 at a time, which takes turns.
    case leastConnections = "least-connections"
    /// Of two that chance draws by weight, the one with fewer connections for its weight.
    case randomOfTwo = "random-of-two"
    /// The same for the same client's address, in every proxy, for as long as it is there; by weight.
    case sourceHash = "source-hash"
    /// The first by priority, then in the snapshot's order; the others only when it does not accept: active and passive.
    case first
}
