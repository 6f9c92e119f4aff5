// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Registration
import Registry
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct RegistratorTests {
    @Test func publishesPresenceAndInstanceAtOnceUnderOneLease() async throws {
        let harness = try Harness()
        try await harness.running {
            let entry = try await harness.untilPublished()
            let presence = try #require(try await harness.entry(Harness.presence))
            #expect(presence.lease == entry.lease && presence.modRevision == entry.modRevision)
            #expect(
                String(decoding: presence.value, as: UTF8.self)
                    == #"{"v":1,"node":"hostA","address":"10.77.0.1","version":"1","boot":"boot1","#
                    + #""since":"2026-11-22T11:00:00Z"}"#)
            #expect(
                String(decoding: entry.value, as: UTF8.self)
                    == #"{"v":1,"host":"10.77.0.1","port":6379,"proto":"tcp","node":"hostA","weight":100,"priority":0,"#
                    + #""state":"up","since":"2026-11-22T11:00:00Z"}"#)
            try await eventually { harness.log.count(of: "registered") == 1 }
            let line = try #require(harness.log.lines.first { $0.message == "registered" })
            #expect(line.level == .info)
            #expect(
                line.metadata == ["service": "redis", "key": "\(Harness.key)", "endpoint": "10.77.0.1:6379"])
        }
        #expect(try await harness.entry() == nil)
        #expect(try await harness.entry(Harness.presence) == nil)
    }

    @Test func writesInTransactionsOfAtMost128() async throws {
        let names = (0..<300).map { "i\($0)" }
        let harness = try Harness(instances: names)
        try await harness.running {
            for name in names { try await harness.untilPublished("/services/redis/\(name)") }
            #expect(harness.store.commits == 3)
            let revisions = try await harness.memory.list(.prefix("/services")).entries.map(\.modRevision)
            #expect(revisions.count == 301 && Set(revisions).count == 3)
        }
    }

    @Test func putsEverythingAgainWhenTheLeaseIsLost() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: ["i0", "i1"])
        try await harness.running {
            let first = try await harness.untilPublished()
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            harness.memory.revoke(try #require(first.lease))
            // The clock stands still: nothing of this waits for any time to pass.
            for key in [Harness.key, "/services/redis/i1"] {
                let again = try await harness.until(key) { $1.lease != first.lease }
                #expect(again.value == first.value)
            }
            try await eventually { try await harness.entry(Harness.presence)?.lease != nil }
            try await eventually { harness.log.count(of: "registered") == 4 }
            #expect(harness.log.count(of: "lease lost") == 1 && harness.registrator.statistics().leasesLost == 1)
        }
    }

    @Test func putsBackWhatSomebodyElseChangedAndSaysSoOnce() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        try await harness.running {
            let original = try await harness.untilPublished()
            for round in 1...3 {
                await clock.untilSleeping { $0.contains(.seconds(30)) }
                try await harness.put(node: round == 2 ? "hostB" : nil)
                clock.advance(by: .seconds(30))
                let mended = try await harness.untilPublished()
                #expect(mended.value == original.value && mended.lease == original.lease)
            }
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            #expect(harness.log.count(of: "key was changed by somebody else and is put back") == 1)
            #expect(harness.registrator.statistics().changesUndone == 3)
            try await harness.delete(Harness.key)
            try await harness.delete(Harness.presence)
            clock.advance(by: .seconds(30))
            try await harness.untilPublished()
            #expect(try await harness.entry(Harness.presence) != nil)
        }
    }

    @Test func upkeepWritesNothingWhenAllIsWell() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        try await harness.running {
            try await harness.untilPublished()
            for _ in 0..<5 {
                await clock.untilSleeping { $0.contains(.seconds(30)) }
                clock.advance(by: .seconds(30))
            }
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            #expect(harness.store.commits == 1)
        }
    }

    @Test func waitsForAStoreThatIsNotThereAndSaysSoOnce() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        harness.store.fail(reads: .error(.unavailable), puts: .error(.unavailable))
        try await harness.running {
            for failures in 1...4 {
                await clock.untilSleeping { $0.contains { $0 < .seconds(30) } }
                try await eventually { harness.registrator.statistics().failures >= failures }
                await clock.untilSleeping { $0.contains { $0 > .seconds(1) || $0 < .milliseconds(900) } }
                clock.advance(by: .seconds(10))
            }
            #expect(harness.log.count(of: "waiting for the registry") == 1)
            harness.store.fail()
            try await eventually {
                clock.advance(by: .seconds(10))
                return try await harness.entry() != nil
            }
            #expect(harness.log.count(of: "waiting for the registry") == 1)
        }
    }

    @Test func saysThatItWaitsForItsFirstLease() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, grants: false)
        _ = try await harness.withdrawing {
            await clock.untilSleeping { $0 == [.seconds(1)] }
            #expect(harness.log.lines.isEmpty)
            clock.advance(by: .seconds(1))
            try await eventually { harness.log.count(of: "waiting for the registry") == 1 }
        }
        #expect(harness.log.lines.count == 1)
    }

    /// Out of space: the lease lives on, puts are tried again after 5 s and no sooner.
    @Test func keepsItsLeaseWhenTheStoreIsFull() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        harness.store.fail(puts: .error(.outOfSpace))
        try await harness.running {
            for attempt in 1...3 {
                await clock.untilSleeping { $0.contains(.seconds(5)) }
                #expect(harness.store.commits == attempt)
                clock.advance(by: .milliseconds(4900))
                await clock.untilSleeping { $0.contains(.milliseconds(100)) }
                #expect(harness.store.commits == attempt)
                clock.advance(by: .milliseconds(100))
            }
            await clock.untilSleeping { $0.contains(.seconds(5)) }
            harness.store.fail()
            clock.advance(by: .seconds(5))
            let entry = try await harness.untilPublished()
            #expect(entry.lease == RegistryLease(1))
            #expect(harness.log.lines.count { $0.level == .error } == 1)
        }
    }

    /// The answer to the first write is lost though the store took it: found, not written again.
    @Test func recognisesAWriteWhoseAnswerWasLost() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        try await harness.running {
            let entry = try await harness.untilPublished()
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            // The same value written once more under our own lease, unknown to the registrator.
            try await harness.put(
                Harness.key, text: String(decoding: entry.value, as: UTF8.self), lease: entry.lease)
            let standing = try await harness.entry()
            clock.advance(by: .seconds(30))
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            #expect(try await harness.entry() == standing && harness.store.commits == 1)
        }
    }
}
