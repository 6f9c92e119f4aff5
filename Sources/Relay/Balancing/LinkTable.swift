// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ServiceModel

/// One snapshot of one link as the workers pick from it: built once, off the workers, never changed, shared by all.
///
/// As long as it lives its instances count as in use; it dies when the last worker has let go of it.
final class LinkTable: @unchecked Sendable {
    // Safety: written in `init` only, freed in `deinit`.
    let ids: UnsafePointer<InstanceID>
    let addresses: UnsafePointer<SocketAddress>
    /// Instances that take connections: those of weight 0 are left out.
    let count: Int
    private let ledger: InstanceLedger

    init(_ snapshot: EndpointSnapshot, ledger: InstanceLedger) {
        let instances = snapshot.instances.filter { $0.weight > 0 }
        let ids = UnsafeMutablePointer<InstanceID>.allocate(capacity: instances.count)
        let addresses = UnsafeMutablePointer<SocketAddress>.allocate(capacity: instances.count)
        for (index, instance) in instances.enumerated() {
            (ids + index).initialize(to: instance.id)
            (addresses + index).initialize(to: SocketAddress(instance.address))
            ledger.addReference(instance.id)
        }
        self.ids = UnsafePointer(ids)
        self.addresses = UnsafePointer(addresses)
        self.count = instances.count
        self.ledger = ledger
    }

    deinit {
        for index in 0..<count { ledger.removeReference(ids[index]) }
        ids.deallocate()
        addresses.deallocate()
    }
}
