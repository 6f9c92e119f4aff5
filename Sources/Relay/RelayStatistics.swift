// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// The relay's counters at one moment. Totals count from the engine's start and never go down.
package struct RelayStatistics: Sendable, Hashable {
    package struct Totals: Sendable, Hashable {
        package let link: Link.ID
        /// Connections open now, those that still look for an instance included.
        package var openConnections = 0
        /// Connections accepted from clients.
        package var accepted: UInt64 = 0
        package var bytesFromClients: UInt64 = 0
        package var bytesFromBackends: UInt64 = 0
        /// Attempts that an instance did not accept; one client may cause several.
        package var failedConnects: UInt64 = 0
        /// Attempts for which this host had no port left (EADDRNOTAVAIL).
        package var portShortages: UInt64 = 0
        /// Clients reset because the link had no instance.
        package var refusedNoInstance: UInt64 = 0
        /// Clients reset because no instance accepted in time, or had room.
        package var refusedUnreachable: UInt64 = 0

        /// Times that an instance was taken out of use for its failures.
        package var ejections: UInt64 = 0

        init(link: Link.ID) { self.link = link }
    }

    /// One for each link that was ever opened or given a snapshot, in order of their ids.
    package let links: [Totals]
    package let openConnections: Int
    /// More than these are not accepted until others end.
    package let maxConnections: Int
    /// Pipes for splicing that exist, in use or spare.
    package let openPipes: Int
    /// How often a worker stopped accepting.
    package let acceptPauses: UInt64
    /// Epoll events about a socket that was closed in the same turn, recognised and ignored.
    package let staleEvents: UInt64
    /// Records of `RelayEvents` lost because nobody took them.
    package let droppedEvents: UInt64
}
