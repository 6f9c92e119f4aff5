// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import TestSupport
import Testing

/// Who else may stand under our keys and our name.
@Suite(.timeLimit(.minutes(1))) struct OwnershipTests {
    @Test func aForeignOwnerIsSaidOnceCountedAndTriedAgain() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock, instances: ["i0", "i1"])
        let foreign = harness.memory.grant(timeToLive: .seconds(3600))
        try await harness.put(node: "hostB", lease: foreign)
        try await harness.running {
            try await harness.untilPublished("/services/redis/i1")
            for _ in 0..<4 {
                await clock.untilSleeping { $0.contains { $0 < .seconds(30) && $0 != .seconds(1) } }
                clock.advance(by: .seconds(10))
            }
            try await eventually { harness.registrator.statistics().foreignOwners >= 4 }
            #expect(harness.log.count(of: "key belongs to another node") == 1)
            #expect(try await harness.record()?.node == "hostB")
            harness.memory.revoke(foreign)
            await clock.untilSleeping()
            clock.advance(by: .seconds(10))
            try await harness.untilPublished()
        }
    }

    /// After `kill -9` and a restart the former process's key, under its lease that still lives, is ours at once; nobody
    /// sees a delete, and the end of the old lease takes nothing along.
    @Test func aFormerProcesssKeyIsTakenOverWithoutADelete() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        let former = harness.memory.grant(timeToLive: .seconds(10))
        let start = harness.memory.health.revision
        try await harness.put(node: "hostA", lease: former)
        try await harness.put("/services-nodes/hostA/p0", text: #"{"v":1,"boot":"boot1"}"#, lease: former)
        try await harness.running {
            let entry = try await harness.until { $1.lease != former }
            harness.memory.revoke(former)
            #expect(try await harness.entry() == entry)
            let history = try await harness.history(.prefix("/services/"), from: start + 1)
            #expect(history == ["up \(Harness.key)", "up \(Harness.key)"])
            #expect(harness.registrator.statistics().rivals == 0)
        }
    }

    @Test func aNewerProcessOfOurNodeIsLeftAloneUntilItIsGone() async throws {
        let clock = ManualClock()
        let older = try Harness(clock: clock)
        let newer = try Harness(memory: older.memory, identity: Fixture.identity(process: "p2"))
        try await older.running {
            let first = try await older.untilPublished()
            _ = try await newer.withdrawing {
                let second = try await newer.until { $1.lease != first.lease }
                await clock.untilSleeping { $0.contains(.seconds(30)) }
                clock.advance(by: .seconds(30))
                for _ in 0..<3 {
                    await clock.untilSleeping { $0.contains { $0 < .seconds(30) } }
                    clock.advance(by: .seconds(10))
                }
                try await eventually { older.registrator.statistics().yielded >= 3 }
                #expect(older.log.count(of: "key was taken over by a newer process of this node") == 1)
                #expect(try await older.entry() == second)
            }
            // The newer one drained and deleted its own; the older one's turn has come again.
            try await eventually {
                clock.advance(by: .seconds(10))
                return try await older.entry()?.lease == first.lease
            }
        }
    }

    /// F11: what we delete is what we wrote, not what stands there now.
    @Test func aLateDeleteLeavesANewerRegistration() async throws {
        let harness = try Harness(instances: ["i0", "i1"])
        let newer = harness.memory.grant(timeToLive: .seconds(3600))
        _ = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 2 }
            try await harness.put(node: "hostA", lease: newer)
        }
        #expect(try await harness.record()?.state == .up)
        #expect(try await harness.entry()?.lease == newer)
        #expect(try await harness.entry("/services/redis/i1") == nil)
    }

    @Test func anotherMachineUnderOurNameKeepsUsOutUntilItIsGone() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        let rival = "/services-nodes/hostA/stranger"
        try await harness.put(rival, text: #"{"v":1,"node":"hostA","boot":"boot2"}"#)
        try await harness.running {
            for count in 1...4 {
                try await eventually { harness.registrator.statistics().rivals >= count }
                await clock.untilSleeping { $0.contains { $0 != .seconds(1) } }
                clock.advance(by: .seconds(10))
            }
            #expect(harness.log.count(of: "two hosts call themselves by one name") == 1)
            #expect(harness.store.commits == 0)
            let count = harness.registrator.statistics().rivals
            try await eventually { harness.registrator.statistics().rivals > count || count > 4 }
            await clock.untilSleeping { $0.contains { $0 != .seconds(1) } }
            // The clock stands: the delete itself is what lets us in.
            try await harness.delete(rival)
            try await harness.untilPublished()
        }
    }

    @Test func aRivalThatComesLaterIsOnlySaid() async throws {
        let clock = ManualClock()
        let harness = try Harness(clock: clock)
        try await harness.running {
            let entry = try await harness.untilPublished()
            try await harness.put("/services-nodes/hostA/stranger", text: #"{"v":1,"boot":"boot2"}"#)
            for _ in 0..<3 {
                await clock.untilSleeping { $0.contains(.seconds(30)) }
                clock.advance(by: .seconds(30))
            }
            try await eventually { harness.registrator.statistics().rivals >= 3 }
            #expect(harness.log.count(of: "two hosts call themselves by one name") == 1)
            #expect(try await harness.entry() == entry)
        }
    }

    @Test func siblingsWithOurBootAreFine() async throws {
        let memory = MemoryStore()
        let one = try Harness(memory: memory, instances: ["i0"])
        let two = try Harness(memory: memory, identity: Fixture.identity(process: "p2"), instances: ["i1"])
        try await one.running {
            try await two.running {
                try await one.untilPublished()
                try await two.untilPublished("/services/redis/i1")
                let presences = try await memory.list(KeyLayout.standard.nodeRange("hostA")).entries
                #expect(presences.map(\.key) == [Harness.presence, "/services-nodes/hostA/p2"])
            }
        }
        #expect(one.registrator.statistics().rivals == 0 && two.registrator.statistics().rivals == 0)
    }

    /// Two nodes with one instance name: the second waits, and takes its place when the first has gone.
    @Test func twoNodesNeverFightOverAKey() async throws {
        let clock = ManualClock()
        let still = ManualClock()
        let first = try Harness(clock: still, identity: Fixture.identity(node: "hostB", process: "p2"))
        let second = try Harness(memory: first.memory, clock: clock)
        let start = first.memory.health.revision
        try await first.withdrawing(still, .milliseconds(100)) {
            try await first.until { record, _ in record.node == "hostB" }
            try await second.running {
                for _ in 0..<3 {
                    await clock.untilSleeping { $0.contains { $0 != .seconds(1) } }
                    clock.advance(by: .seconds(10))
                }
                try await eventually { second.registrator.statistics().foreignOwners >= 3 }
            }
        }
        let history = try await first.history(.prefix("/services/"), from: start + 1)
        #expect(history == ["up \(Harness.key)", "draining \(Harness.key)", "gone \(Harness.key)"])
    }
}
