// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Where the relay keeps what changes per instance: a slot of its arrays, and which of the slot's successive tenants.
///
/// Given out by Discovery, one for each (key, endpoint): a new endpoint under the same key is a new instance. A slot is
/// used again only after the relay has let go of the last tenant (`RelayEngine.hasReleased`).
package struct InstanceID: Hashable, Sendable {
    /// 0..<50,000, dense.
    package let slot: UInt32
    /// Counts the tenants of the slot, from 1.
    package let generation: UInt32

    package init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }
}

/// One place where a service can be reached, as the relay sees it.
package struct Instance: Hashable, Sendable {
    package let id: InstanceID
    package let address: InstanceAddress
    /// Share of new connections, 0...1000; 0 takes none.
    package let weight: Int
    /// Lower is preferred, for active–passive balancing; 0 unless the registrator says otherwise.
    package let priority: Int

    package init(id: InstanceID, endpoint: Endpoint, weight: Int = 100, priority: Int = 0) {
        self.init(id: id, address: .network(endpoint), weight: weight, priority: priority)
    }

    package init(id: InstanceID, address: InstanceAddress, weight: Int = 100, priority: Int = 0) {
        self.id = id
        self.address = address
        self.weight = weight
        self.priority = priority
    }

    /// Nil for a Unix socket.
    package var endpoint: Endpoint? { address.endpoint }
}
