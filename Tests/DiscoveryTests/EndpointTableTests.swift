// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

@Suite struct EndpointTableTests {
    // MARK: Listings

    @Test func keysMissingFromAListingAreDeletesNobodyExplains() throws {
        var harness = try TableHarness()
        harness.putUp(4)
        _ = harness.write([], deleting: ["1"])
        harness.reset()
        #expect(harness.used == [2, 3, 4] && harness.probes.isEmpty, "one of four goes at once")
        _ = harness.write([], deleting: ["2"])
        harness.reset()
        #expect(harness.used == [2, 3, 4])
        #expect(harness.probes.map(\.endpoint) == [TableHarness.endpoint(1), TableHarness.endpoint(2)])
    }

    @Test func aListingWithoutAnythingHoldsWhatAccepts() throws {
        var harness = try TableHarness()
        harness.putUp(3)
        harness.accepting.remove(TableHarness.endpoint(3))
        _ = harness.write([], deleting: ["1", "2", "3"])
        harness.reset()
        harness.answer()
        #expect(harness.used == [1, 2])
        #expect(harness.names(.held) == ["1", "2"])
    }

    @Test func anUnchangedListingChangesNothing() throws {
        var harness = try TableHarness()
        harness.putUp(3)
        let before = harness.instances()
        harness.reset()
        #expect(harness.instances() == before)
        #expect(harness.notices.isEmpty)
    }

    @Test(.row("E8")) func anOlderListingNeverWins() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        let older = harness.listing
        harness.put("3", TableHarness.value(TableHarness.endpoint(3)))
        harness.act(harness.table.reset(older, now: harness.now))
        #expect(harness.used == [1, 2, 3])
        #expect(harness.table.report(now: harness.now).counters.olderListings == 1)
    }

    @Test func aRestoredRegistryIsBelievedOnceItIsSaid() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        let entry = RegistryEntry(
            key: TableHarness.key("1"), value: TableHarness.value(TableHarness.endpoint(8)), modRevision: 2, lease: nil)
        harness.table.historyWentBack()
        harness.act(harness.table.reset(RegistryListing(revision: 2, entries: [entry]), now: harness.now))
        harness.answer()
        #expect(harness.used == [2, 8], "1 moved, 2 is gone but accepts")
    }

    @Test func repeatedEventsAreDropped() throws {
        var harness = try TableHarness()
        let old = harness.write([TableHarness.put("1", TableHarness.value(TableHarness.endpoint(1)))])
        let oldRevision = harness.revision
        harness.act(harness.table.changed(old, revision: oldRevision, now: harness.now))
        harness.put("1", TableHarness.value(TableHarness.endpoint(2)))
        harness.act(harness.table.changed(old, revision: oldRevision, now: harness.now))
        harness.act(
            harness.table.changed([.remove(key: TableHarness.key("1"))], revision: oldRevision, now: harness.now))
        #expect(harness.used == [2])
        #expect(harness.table.report(now: harness.now).counters.repetitions == 2)
    }

    // MARK: Instances

    @Test func aNewAddressUnderTheSameKeyIsANewInstance() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        let id = harness.id(of: 1)
        harness.put("1", TableHarness.value(TableHarness.endpoint(2)), lease: RegistryLease(1))
        #expect(harness.used == [2], "the old one drains")
        #expect(harness.id(of: 2) != id)
        #expect(harness.probes.isEmpty)
    }

    @Test func twoKeysWithOneAddressAreOneInstanceWithTheNewerAttributes() throws {
        var harness = try TableHarness()
        let endpoint = TableHarness.endpoint(1)
        harness.put("a", TableHarness.value(endpoint, weight: 10))
        let id = harness.id(of: 1)
        harness.put("b", TableHarness.value(endpoint, weight: 20))
        #expect(harness.instances() == [Instance(id: try #require(id), endpoint: endpoint, weight: 20)])
        harness.put("a", TableHarness.value(endpoint, weight: 30))
        #expect(harness.instances().map(\.weight) == [30])
        harness.delete("a", "x")
        #expect(harness.instances() == [Instance(id: try #require(id), endpoint: endpoint, weight: 20)])
        #expect(harness.probes.isEmpty, "nothing has gone")
        #expect(harness.names(.up) == ["b"])
    }

    @Test func weightZeroTakesNoNewConnectionsAndIsNoMember() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        harness.put("1", TableHarness.value(TableHarness.endpoint(1), weight: 0), lease: RegistryLease(1))
        #expect(harness.used == [2])
        harness.expire(2)
        harness.answer()
        #expect(harness.names(.held) == ["2"], "the last that takes connections")
    }

    @Test func anotherProtocolIsNoMember() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.put("udp", TableHarness.value(TableHarness.endpoint(2), proto: "udp"))
        #expect(harness.used == [1])
        #expect(harness.table.report(now: harness.now).skippedByReason == [.proto: 1])
        harness.put("1", TableHarness.value(TableHarness.endpoint(1), proto: "udp"))
        #expect(harness.used == [])
    }

    @Test func keysAreComparedByBytes() throws {
        var harness = try TableHarness()
        harness.put("é", TableHarness.value(TableHarness.endpoint(1)))
        harness.put("e\u{301}", TableHarness.value(TableHarness.endpoint(2)))
        #expect(harness.used == [1, 2])
    }

    // MARK: Entries that are not used

    @Test(arguments: [
        ("{", SkipReason.json), (#"{"host":"10.0.0.1"}"#, .port), (#"{"host":"redis","port":1}"#, .name),
        (#"{"host":"169.254.169.254","port":80}"#, .forbidden), (#"{"host":"127.0.0.1","port":80}"#, .loopback),
        (#"{"host":"8.8.8.8","port":80}"#, .notAllowed), (#"{"host":"10.0.0.1","port":1,"weight":1001}"#, .weight),
        (#"{"host":"10.9.9.9","port":6379}"#, .ownListener),
    ])
    func aBadEntryIsSkippedAndTheRestIsNot(_ value: String, _ reason: SkipReason) throws {
        var harness = try TableHarness()
        harness.act(harness.table.ownEndpointsChanged(to: [try #require(Endpoint("10.9.9.9:6379"))], now: .zero))
        harness.putUp(2)
        harness.put("bad", Array(value.utf8))
        harness.put("bad", Array((value + " ").utf8))
        harness.put("3", TableHarness.value(TableHarness.endpoint(3)))
        #expect(harness.used == [1, 2, 3])
        let report = harness.table.report(now: harness.now)
        #expect(report.skipped == [ServiceReport.SkippedRow(key: TableHarness.key("bad"), reason: reason)])
        #expect(report.counters.skipped == [reason: 1])
        #expect(harness.notices == [.skipped(key: TableHarness.key("bad"), reason)], "told once")
        harness.delete("bad")
        #expect(harness.table.report(now: harness.now).skipped.isEmpty)
    }

    @Test func aKeyThatIsTooLongIsSkipped() throws {
        var harness = try TableHarness()
        harness.put(String(repeating: "k", count: 512), TableHarness.value(TableHarness.endpoint(1)))
        #expect(harness.used == [])
        #expect(harness.table.report(now: harness.now).skippedByReason == [.key: 1])
    }

    @Test func anInstanceThatTurnsOutToBeOurOwnListenerLeavesAndComesBackWithItsEnd() throws {
        var harness = try TableHarness()
        harness.putUp(2)
        harness.act(harness.table.ownEndpointsChanged(to: [TableHarness.endpoint(1)], now: harness.now))
        #expect(harness.used == [2])
        #expect(harness.table.report(now: harness.now).skippedByReason == [.ownListener: 1])
        harness.act(harness.table.ownEndpointsChanged(to: [], now: harness.now))
        #expect(harness.used == [1, 2])
        #expect(harness.table.report(now: harness.now).skipped.isEmpty)
    }

    @Test func overTheLimitTheNewestAreIgnoredUntilThereIsRoom() throws {
        var harness = try TableHarness(hold: .zero)
        let count = EndpointTable.maximumMembers + 2
        _ = harness.write(
            (1...count - 2).map { TableHarness.put("\($0)", TableHarness.value(TableHarness.endpoint($0))) })
        _ = harness.write([TableHarness.put("0", TableHarness.value(TableHarness.endpoint(count)))])
        _ = harness.write([TableHarness.put("00", TableHarness.value(TableHarness.endpoint(count - 1)))])
        harness.reset()
        #expect(harness.instances().count == EndpointTable.maximumMembers)
        #expect(harness.table.report(now: .zero).skipped.map(\.key) == [TableHarness.key("0"), TableHarness.key("00")])
        harness.delete("1")
        let suspects = harness.table.suspects(in: harness.listing)
        harness.act(harness.table.repaired(suspects, by: harness.listing, now: harness.now))
        #expect(harness.instances().count == EndpointTable.maximumMembers)
        #expect(harness.table.report(now: .zero).skipped.count == 1)
        #expect(harness.table.report(now: .zero).counters.drift == 0)
    }

    @Test func theLimitOfTheProcessIsShared() throws {
        var harness = try TableHarness()
        harness.table.membersElsewhere = 49_999
        harness.put("1", TableHarness.value(TableHarness.endpoint(1)))
        harness.put("2", TableHarness.value(TableHarness.endpoint(2)))
        #expect(harness.used == [1])
        #expect(harness.table.report(now: .zero).skippedByReason == [.tooMany: 1])
    }

    // MARK: Audits

    @Test(.row("E4", "E6")) func anAuditRepairsAndCountsWhatTheWatchMissed() throws {
        var harness = try TableHarness()
        harness.putUp(5)
        _ = harness.write([TableHarness.put("6", TableHarness.value(TableHarness.endpoint(6)))], deleting: ["1"])
        _ = harness.write([TableHarness.put("2", TableHarness.value(TableHarness.endpoint(7)))])
        let suspects = harness.table.suspects(in: harness.listing)
        harness.act(harness.table.repaired(suspects, by: harness.listing, now: harness.now))
        #expect(harness.used == [3, 4, 5, 6, 7])
        #expect(harness.table.report(now: harness.now).counters.drift == 3)
        #expect(harness.table.suspects(in: harness.listing).isEmpty)
    }

    @Test func whatTheWatchStillTellsIsNoDrift() throws {
        var harness = try TableHarness()
        harness.putUp(5)
        let changes = harness.write(
            [TableHarness.put("6", TableHarness.value(TableHarness.endpoint(6)))], deleting: ["1"])
        let suspects = harness.table.suspects(in: harness.listing)
        #expect(!suspects.isEmpty)
        harness.act(harness.table.changed(changes, revision: harness.revision, now: harness.now))
        harness.answer()
        #expect(harness.table.remaining(of: suspects).isEmpty)
        harness.delete("6", "x")
        harness.act(harness.table.repaired(suspects, by: harness.listing, now: harness.now))
        #expect(harness.used == [2, 3, 4, 5])
        #expect(harness.table.report(now: harness.now).counters.drift == 0)
    }
}
