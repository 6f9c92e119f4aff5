// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// What a `Registrator` goes by.
package struct RegistratorConfiguration: Sendable {
    package var layout: KeyLayout
    /// Other programs' forms in which each instance stands as well (`--also`).
    package var also: [SecondForm] = []
    package var identity: NodeIdentity
    /// Of the lease (`--ttl`): how long after this process's death its keys stand. 10 s is short enough to notice
    /// a death and long enough to survive an election of etcd.
    package var timeToLive = Duration.seconds(10)
    /// From `draining` to the delete (`--drain-time`): proxies have long heard by then.
    package var drainTime = Duration.seconds(1)
    /// What becomes of our entries when we are told to end (`--on-exit`).
    package var onExit = ExitPolicy.deregister
    /// How often our keys are looked after (docs/promises.md, "Registration").
    package var upkeep = Duration.seconds(30)

    package init(layout: KeyLayout, identity: NodeIdentity) {
        self.layout = layout
        self.identity = identity
    }
}

/// What a registrator leaves behind when it is told to end.
package enum ExitPolicy: String, Sendable, Hashable, CaseIterable {
    /// Nothing: its entries drain, and are deleted.
    case deregister
    /// Everything, for as long as the lease lives: who is started again within that time goes on with it.
    case keep
}

/// What has happened to a `Registrator` since it was made.
package struct RegistratorStatistics: Sendable, Hashable {
    /// Leases granted after the first.
    package var leasesLost = 0
    /// Keys that somebody else had changed or removed and that were put back.
    package var changesUndone = 0
    /// Times a key was found in another node's hands.
    package var foreignOwners = 0
    /// Times a key was left to a newer process of this node.
    package var yielded = 0
    /// Times another machine was found under our node's name.
    package var rivals = 0
    /// Requests to the store that failed.
    package var failures = 0
}
