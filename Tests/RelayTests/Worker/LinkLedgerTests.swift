// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

@Suite struct LinkLedgerTests {
    /// Two workers that write in one line of the cache take it from each other with every message.
    @Test func eachWorkerCountsInCacheLinesOfItsOwn() {
        #expect(MemoryLayout<LinkCounters>.size == 64)
        // Many: an allocator may give one the right place by chance.
        let ledgers = (0..<50).map { LinkLedger(id: Link.ID(UInt32($0)), workers: 3) }
        for ledger in ledgers {
            let places =
                (0..<3).map { UInt(bitPattern: ledger.counters(of: $0)) } + [UInt(bitPattern: ledger.openCount)]
            #expect(places.allSatisfy { $0 % 64 == 0 })
            #expect(Set(places.map { $0 / 64 }).count == places.count)
        }
    }
}
