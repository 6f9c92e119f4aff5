// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

@Suite struct InstanceLedgerTests {
    private let id = InstanceID(slot: 7, generation: 3)

    @Test func instanceIsHeldByTablesAndConnections() {
        let ledger = InstanceLedger()
        #expect(ledger.hasReleased(id))
        var table: LinkTable? = LinkTable(snapshot(), ledger: ledger)
        #expect(!ledger.hasReleased(id))
        #expect(ledger.takePlace(id) && ledger.takePlace(id))
        #expect(table?.view.count == 1)
        table = nil
        #expect(!ledger.hasReleased(id))
        #expect(ledger.openConnections(id) == 2)
        ledger.connectionClosed(id)
        #expect(!ledger.hasReleased(id))
        ledger.connectionClosed(id)
        #expect(ledger.hasReleased(id))
    }

    @Test func formerTenantOfASlotIsReleased() {
        let ledger = InstanceLedger()
        let table = LinkTable(snapshot(), ledger: ledger)
        #expect(ledger.takePlace(id))
        let former = InstanceID(slot: 7, generation: 2)
        #expect(ledger.hasReleased(former))
        #expect(ledger.openConnections(former) == 0)
        #expect(!ledger.hasReleased(id))
        #expect(table.view.count == 1)
    }

    /// Of workers that come at once for the last places each gets one or none, and no place is lost.
    @Test func placesAreGivenOutOnce() async {
        for _ in 0..<200 {
            let ledger = InstanceLedger()
            let taken = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<4 { group.addTask { [id] in (0..<5).count { _ in ledger.takePlace(id, room: 7) } } }
                return await group.reduce(0, +)
            }
            #expect(taken == 7 && !ledger.takePlace(id, room: 7))
            ledger.connectionClosed(id)
            #expect(ledger.takePlace(id, room: 7))
        }
    }

    @Test func slotBeyondTheArraysHoldsNothing() {
        let ledger = InstanceLedger()
        #expect(ledger.hasReleased(InstanceID(slot: .max, generation: 1)))
        #expect(ledger.openConnections(InstanceID(slot: 50_000, generation: 1)) == 0)
    }

    private func snapshot() -> EndpointSnapshot {
        EndpointSnapshot(sequence: 1, instances: [Instance(id: id, endpoint: Endpoint(.loopbackV4, port: 1))])
    }
}
