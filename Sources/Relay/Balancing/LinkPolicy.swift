// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How a link treats its new connections.
package struct LinkPolicy: Sendable, Hashable {
    package var balance: Balance
    /// Connections of the link that one instance may have at once, 1...; whoever comes then goes to another one, or waits
    /// as long as for one that does not accept. Nil: as many as come.
    package var connectionsPerInstance: Int?

    package init(balance: Balance = .roundRobin, connectionsPerInstance: Int? = nil) {
        self.balance = balance
        self.connectionsPerInstance = connectionsPerInstance
    }
}

/// Which instance a new connection tries first, and which next. The raw value is what operators write.
///
/// In all kinds an instance of weight 0 takes none, and one that is out of use (`EjectionPolicy`) or has no room is passed
/// over. Those of the lowest priority that has one left are a tier: the others get what no instance of it can take.
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
    /// The first by priority, then in the order in which they came; the others only when it does not accept: active and passive.
    case first
}
