// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

/// Which client goes where by its address, and who moves when something changes.
@Suite struct SourceHashTests {
    private static let clients = (0..<20_000).map { SourceHash.hash(IPAddress(v4: 0xc0a8_0000 + UInt32($0))) }

    /// The slot of each client.
    private func places(_ instances: [(id: InstanceID, weight: Int)]) -> [UInt32] {
        let table = LinkTable(of: instances, balance: .sourceHash, ledger: InstanceLedger())
        let view = table.view
        return withExtendedLifetime(table) {
            Self.clients.map { view.ids[view.tiers[0].sources?.pick($0, draw: 0) ?? 0].slot }
        }
    }

    private func moved(_ before: [UInt32], _ after: [UInt32]) -> Double {
        Double(zip(before, after).count { $0 != $1 }) / Double(before.count)
    }

    @Test(arguments: [3, 10, 100, 1000]) func oneOfManyMovesAboutItsOwnClients(count: Int) {
        let all = Picks.ids([Int](repeating: 100, count: count + 1))
        let before = places(Array(all.dropLast()))
        let joined = moved(before, places(all))
        let fair = 1 / Double(count)
        #expect(joined <= 2.2 * fair + 0.002, "\(joined) of all move to one of \(count)")
        #expect(joined >= 0.5 * fair, "\(joined): it is used")
        // Who goes comes last and first in the snapshot: places in it mean nothing.
        let left = moved(before, places(Array(all.dropLast().dropFirst())))
        #expect(left <= 2.2 * fair + 0.002, "\(left) of all move when one of \(count) leaves")
        #expect(places(Array(all.dropLast().reversed())) == before)
    }

    @Test func sharesAreTheWeights() {
        let weights = [100, 200, 300, 50, 350]
        let places = places(Picks.ids(weights))
        for (slot, weight) in weights.enumerated() {
            let share = Double(places.count { $0 == UInt32(slot) }) / Double(places.count)
            #expect(abs(share - Double(weight) / 1000) < 0.02, "\(slot): \(share)")
        }
    }

    @Test func aChangedWeightMovesOnlyTheDifference() {
        let before = places(Picks.ids([Int](repeating: 100, count: 10)))
        let after = places(Picks.ids([Int](repeating: 100, count: 9) + [200]))
        // One tenth of all has become two elevenths.
        #expect(moved(before, after) < 0.2)
    }

    @Test func mappedAddressesAreTheirIPv4Ones() throws {
        let mapped = try #require(IPAddress("::ffff:192.168.0.7"))
        #expect(SourceHash.hash(mapped) == SourceHash.hash(IPAddress(v4: 0xc0a8_0007)))
    }

    @Test func aClientStaysWithItsInstanceAndHasItsOwnOrderOfOthers() {
        var picks = Picks([Int](repeating: 1, count: 20), .sourceHash)
        let orders = Self.clients.prefix(50).map { client in
            picks.now = 1
            let order = picks.attempts(of: client)[0]
            picks.now = 1
            #expect(picks.attempts(of: client)[0] == order)
            return order
        }
        // Those whose first instance fails spread over all the others.
        #expect(Set(orders.map { $0[1] }).count > 10)
    }

    /// A client that has no address, as behind a Unix socket, is served in turn.
    @Test func whoHasNoAddressIsServedAllTheSame() {
        var picks = Picks([1, 1, 1], .sourceHash)
        #expect(Set((0..<100).map { _ in picks.connect(from: nil) }).count == 3)
    }
}
