// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How a link treats its new connections.
package struct LinkPolicy: Sendable, Hashable {
    package var balance: Balance

    package init(balance: Balance = .roundRobin) {
        self.balance = balance
    }
}

/// Which instance a new connection tries first, and which next.
package enum Balance: Sendable, Hashable {
    /// Each in turn. Workers begin at different instances, so that few connections on many workers spread too.
    case roundRobin
    /// The first in the snapshot's order, the others only when it does not accept: `forward`'s failover.
    case first
}
