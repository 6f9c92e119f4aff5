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
        ledger.connectionOpened(id)
        ledger.connectionOpened(id)
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
        ledger.connectionOpened(id)
        let former = InstanceID(slot: 7, generation: 2)
        #expect(ledger.hasReleased(former))
        #expect(ledger.openConnections(former) == 0)
        #expect(!ledger.hasReleased(id))
        #expect(table.view.count == 1)
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
