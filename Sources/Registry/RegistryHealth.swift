// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How fresh our knowledge of the store is.
package struct RegistryHealth: Hashable, Sendable {
    /// Since when nothing could be learned; nil while the store answers. `MemoryStore` is never stale.
    package var staleSince: ContinuousClock.Instant?
    package var lastContact: ContinuousClock.Instant?
    /// Newest revision seen, 0 before the first answer.
    package var revision: Int64
    /// Connections made after the first.
    package var reconnects: Int
    /// Times that one watch had to list anew.
    package var relists: Int
    /// Times that another history answered, so that all watches had to list anew.
    package var resyncs: Int
    /// Which store it is, in its own words (etcd: the cluster's id, hexadecimal); nil before the first answer.
    package var cluster: String?
    /// Of what answered last; nil before.
    package var version: String?

    package init(
        staleSince: ContinuousClock.Instant? = nil, lastContact: ContinuousClock.Instant? = nil,
        revision: Int64 = 0, reconnects: Int = 0, relists: Int = 0, resyncs: Int = 0, cluster: String? = nil,
        version: String? = nil
    ) {
        self.staleSince = staleSince
        self.lastContact = lastContact
        self.revision = revision
        self.reconnects = reconnects
        self.relists = relists
        self.resyncs = resyncs
        self.cluster = cluster
        self.version = version
    }
}

/// The same as ages at one instant, with what anti-entropy found: to be shown.
package struct KnowledgeReport: Hashable, Sendable {
    package let cluster: String?
    package let version: String?
    package let revision: Int64
    /// Since the last answer; nil before the first.
    package let lastContact: Duration?
    /// For how long nothing could be learned; nil while the store answers.
    package let staleness: Duration?
    package let reconnects: Int
    package let relists: Int
    package let resyncs: Int
    /// Keys that differed although a watch should have told.
    package let drift: Int

    package init(_ health: RegistryHealth, drift: Int = 0, now: ContinuousClock.Instant = .now) {
        cluster = health.cluster
        version = health.version
        revision = health.revision
        lastContact = health.lastContact.map { $0.duration(to: now) }
        staleness = health.staleSince.map { $0.duration(to: now) }
        reconnects = health.reconnects
        relists = health.relists
        resyncs = health.resyncs
        self.drift = drift
    }
}
