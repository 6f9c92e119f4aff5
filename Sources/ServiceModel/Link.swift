// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A local door to one service: the listeners that clients connect to, and the name that logs call it by.
package struct Link: Hashable, Sendable {
    package struct ID: Hashable, Sendable {
        /// 0..., dense within a process.
        package let index: UInt32
        package init(_ index: UInt32) { self.index = index }
    }

    package let id: ID
    /// The service's name for `proxy`, the targets for `forward`.
    package let name: String

    package init(id: ID, name: String) {
        self.id = id
        self.name = name
    }
}

/// The instances of one link that may take *new* connections, all of them, at one moment.
///
/// Connections that run to an instance that a later snapshot lacks go on: leaving is not cutting.
package struct EndpointSnapshot: Hashable, Sendable {
    /// Counts the snapshots of a link, from 1; the relay ignores one that is not newer than what it has.
    package let sequence: UInt64
    package let instances: [Instance]

    package init(sequence: UInt64, instances: [Instance]) {
        self.sequence = sequence
        self.instances = instances
    }
}
