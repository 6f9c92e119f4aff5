// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Logging
import Registry
import ServiceModel
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct EndpointWatcherTests {
    private let one = TableHarness.endpoint(1)
    private let two = TableHarness.endpoint(2)
    private let three = TableHarness.endpoint(3)

    @Test func followsPutsChangesAndDeletes() async throws {
        let harness = try WatcherHarness()
        try await harness.put("/services/redis/a", one)
        try await harness.running {
            try await harness.until([one])
            try await harness.put("/services/redis/b", two)
            try await harness.until([one, two])
            try await harness.put("/services/redis/a", three)
            try await harness.until([two, three])
            try await harness.delete("/services/redis/b")
            try await harness.until([three])
            try await harness.delete("/services/redis/a")
        }
        let sequences = harness.seen.all().map(\.sequence)
        #expect(sequences == sequences.sorted() && Set(sequences).count == sequences.count)
        #expect(harness.log.lines("endpoint set changed").first?.text("up") == "1")
        #expect(harness.prober.asked.isEmpty)
    }

    @Test func theFirstSnapshotComesWithTheFirstListingAlsoWhenItIsEmpty() async throws {
        let harness = try WatcherHarness()
        harness.store.change { $0.list = .unavailable }
        try await harness.running {
            try await eventually { harness.store.faults.lists >= 2 }
            #expect(harness.seen.newest() == nil)
            harness.store.change { $0.list = nil }
            try await harness.until([])
            #expect(harness.seen.newest()?.sequence == 1)
        }
    }

    @Test func neighboursAndServicesBelowAreNotSeen() async throws {
        let harness = try WatcherHarness(services: ["redis", "redis/sub", "redis"])
        try await harness.put("/services/redis/a", one)
        try await harness.put("/services/redis/sub/a", two)
        try await harness.put("/services/redis-A/a", three)
        try await harness.running {
            try await harness.until([one])
            try await harness.until([two], of: "redis/sub")
            try await harness.put("/services/redis/sub/b", three)
            try await harness.until([two, three], of: "redis/sub")
        }
        #expect(harness.seen.newest()?.instances.map(\.endpoint) == [one])
        #expect(harness.store.faults.watches == 2, "a service linked twice is watched once")
        #expect(try harness.report().skipped.isEmpty)
        let slots = ["redis", "redis/sub"].flatMap { harness.seen.newest($0)?.instances.map(\.id.slot) ?? [] }
        #expect(Set(slots) == [0, 1, 2], "slots are the process's")
    }

    @Test func manyServicesShareOneWatch() async throws {
        let services = (1...65).map { "s\($0)" }
        let harness = try WatcherHarness(services: services)
        try await harness.put(services.map { ("/services/\($0)/a", one) })
        try await harness.put("/services/other/a", two)
        try await harness.running {
            for service in services { try await harness.until([one], of: service) }
            try await harness.put([("/services/s1/b", two), ("/services/s65/b", three), ("/services/other/b", one)])
            try await harness.until([one, two], of: "s1")
            try await harness.until([one, three], of: "s65")
            try await harness.delete("/services/s2/a")
            try await harness.until([], of: "s2")
        }
        #expect(harness.store.faults.ranges == [.prefix("/services/")])
        #expect(harness.seen.newest("other") == nil)
        #expect(harness.seen.all("s3").count == 1)
    }

    @Test func upToSixtyFourServicesHaveTheirOwnWatches() async throws {
        let services = (1...64).map { "s\($0)" }
        let harness = try WatcherHarness(services: services)
        try await harness.running {
            for service in services { try await harness.until([], of: service) }
            try await eventually { harness.store.faults.watches == 64 }
        }
        #expect(Set(harness.store.faults.ranges).count == 64)
    }

    // MARK: Leaving

    @Test func aLoneDeleteUnderALivingLeaseIsAskedAboutAndLeaves() async throws {
        // No question runs out of time on a clock that stands still.
        let harness = try WatcherHarness(clock: ManualClock())
        let lease = harness.memory.grant(timeToLive: .seconds(3600))
        try await harness.put("/services/redis/a", one, lease: lease)
        try await harness.running {
            try await harness.until([one])
            try await harness.delete("/services/redis/a")
            try await eventually { try harness.report().instances.isEmpty }
        }
        #expect(harness.prober.asked.isEmpty)
    }

    @Test func instancesOfADeadRegistratorAreHeldWhileTheyAccept() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(hold: .seconds(58), clock: clock)
        harness.prober.accept([one])
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put([("/services/redis/a", one), ("/services/redis/b", two)], lease: lease)
        try await harness.running {
            try await harness.until([one, two])
            let start = clock.now
            harness.memory.revoke(lease)
            try await eventually { try harness.report().instances.map(\.state) == [.held] }
            #expect(Set(harness.prober.asked) == [one, two])
            try await eventually { harness.log.lines("instance held").map { $0.metadata["for"] } == ["58s"] }
            for round in 1...10 {
                // Only the next probe is five seconds away: the last one has been answered.
                await clock.untilSleeping { $0.contains(.seconds(5)) }
                clock.advance(by: .seconds(5))
                try await eventually { harness.prober.asked.count { $0 == one } == 1 + round }
            }
            await clock.untilSleeping { $0.contains(.seconds(5)) }
            #expect(harness.seen.newest()?.instances.map(\.endpoint) == [one])
            clock.advance(by: .seconds(58) - start.duration(to: clock.now))
            try await untilAdvancing(clock, by: .milliseconds(20)) {
                harness.seen.newest()?.instances.isEmpty ?? false
            }
            #expect(harness.log.lines("hold ended").map { $0.text("reason") } == ["expired"])
        }
    }

    @Test func probesAreBoundedInNumber() async throws {
        let harness = try WatcherHarness(clock: ManualClock())
        let endpoints = (1...300).map(TableHarness.endpoint)
        harness.prober.accept(endpoints)
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        for start in stride(from: 0, to: 300, by: 100) {
            try await harness.put(
                endpoints[start..<start + 100].map { ("/services/redis/\($0.address)", $0) }, lease: lease)
        }
        try await harness.running {
            try await harness.until(endpoints)
            harness.memory.revoke(lease)
            try await eventually { try harness.report().instances.count { $0.state == .held } == 300 }
        }
        #expect(harness.prober.asked.count == 300)
        #expect((1...64).contains(harness.prober.mostUnderWay))
        #expect(harness.seen.newest()?.instances.count == 300)
    }

    // MARK: When the registry fails

    @Test func aWatchThatIsResetIsADiff() async throws {
        let harness = try WatcherHarness(memory: MemoryStore(historyLimit: 1))
        for number in 1...9 { try await harness.put("/services/redis/\(number)", TableHarness.endpoint(number)) }
        try await harness.running {
            try await harness.until((1...9).map(TableHarness.endpoint))
            let ids = harness.seen.newest()?.instances.map(\.id)
            harness.memory.compact()
            try await harness.put("/services/redis/10", TableHarness.endpoint(10))
            harness.memory.compact()
            try await harness.put("/services/redis/11", TableHarness.endpoint(11))
            try await harness.until((1...11).map(TableHarness.endpoint))
            #expect(ids.map { $0 == harness.seen.newest()?.instances.prefix(9).map(\.id) } ?? false)
        }
        #expect(harness.seen.all().allSatisfy { $0.instances.count >= 9 }, "never cleared")
    }

    @Test func aRegistryThatDeniesReadingFreezesWhatIsKnownAndIsToldOnce() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        harness.store.change { $0.list = .permissionDenied }
        try await harness.put("/services/redis/a", one)
        try await harness.running {
            // At 30 s those sleep as long who have a minute: the audit, and the watch of operators' words.
            for (attempt, sleepers) in zip(1...3, [1, 3, 1]) {
                try await eventually { harness.store.faults.lists == attempt }
                await clock.untilSleeping {
                    $0.count { $0 == .seconds(30) } >= sleepers && (attempt > 1 || $0.count { $0 == .seconds(60) } >= 2)
                }
                clock.advance(by: .seconds(29))
                #expect(harness.store.faults.lists == attempt, "slowly")
                clock.advance(by: .seconds(1))
            }
            harness.store.change { $0.list = nil }
            try await eventually {
                clock.advance(by: .seconds(1))
                return harness.seen.newest()?.instances.map(\.endpoint) == [one]
            }
        }
        #expect(harness.log.lines("registry not readable; what is known is kept").map(\.level) == [.warning])
        #expect(harness.log.lines("registry readable again").count == 1)
    }

    @Test(.row("E4", "E6")) func anAuditFindsWhatADeafWatchMissed() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        harness.store.change { $0.isDeaf = true }
        try await harness.put("/services/redis/a", one)
        try await harness.put("/services/redis/b", two)
        try await harness.put("/services/redis/c", three)
        try await harness.running {
            try await harness.until([one, two, three])
            try await harness.delete("/services/redis/c")
            try await harness.put("/services/redis/a", TableHarness.endpoint(4))
            try await eventually {
                clock.advance(by: .seconds(1))
                return Set(harness.seen.newest()?.instances.map(\.endpoint) ?? []) == [two, TableHarness.endpoint(4)]
            }
            #expect(clock.now.offset >= .seconds(50))
        }
        #expect(try harness.report().counters.drift == 2)
        #expect(harness.watcher.knowledge().drift == 2)
        #expect(harness.log.lines("watch had missed changes").map { $0.text("keys") } == ["2"])
    }

    @Test func aRegistryThatWasRestoredIsFollowedAgain() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        harness.store.change { $0.shift = 1000 }
        try await harness.put("/services/redis/a", one)
        try await harness.running {
            try await harness.until([one])
            harness.store.change { $0.shift = 0 }
            try await harness.put("/services/redis/b", two)
            try await eventually {
                clock.advance(by: .milliseconds(500))
                return Set(harness.seen.newest()?.instances.map(\.endpoint) ?? []) == [one, two]
            }
            try await harness.put("/services/redis/c", three)
            try await eventually {
                clock.advance(by: .milliseconds(20))
                return Set(harness.seen.newest()?.instances.map(\.endpoint) ?? []) == [one, two, three]
            }
        }
        #expect(harness.log.lines("registry was restored to an earlier state").count == 1)
        #expect(harness.seen.all().allSatisfy { !$0.instances.isEmpty })
    }

    // MARK: Snapshots and logs

    @Test func aBurstBecomesFewSnapshots() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        try await harness.running {
            try await harness.until([])
            await clock.untilSleeping { $0.contains(.milliseconds(20)) }
            for number in 1...100 { try await harness.put("/services/redis/\(number)", TableHarness.endpoint(number)) }
            try await eventually { try harness.report().instances.count == 100 }
            clock.advance(by: .milliseconds(20))
            try await harness.until((1...100).map(TableHarness.endpoint))
        }
        #expect(harness.seen.all().count == 2)
    }

    @Test func aServiceThatNeverRestsIsSummedUpOnceASecond() async throws {
        let clock = ManualClock()
        let harness = try WatcherHarness(clock: clock)
        try await harness.running {
            try await harness.until([])
            for number in 1...30 {
                try await harness.put("/services/redis/a", TableHarness.endpoint(number))
                try await untilAdvancing(clock, by: .milliseconds(20)) {
                    harness.seen.newest()?.instances.map(\.endpoint) == [TableHarness.endpoint(number)]
                }
            }
            try await untilAdvancing(clock, by: .milliseconds(100)) { told(harness) == harness.seen.all().count }
            let seconds = Int(clock.now.offset.components.seconds)
            #expect(harness.log.lines("endpoint set changed").count <= seconds + 1)
        }
    }

    /// Snapshots that the log has told of, one by one or together.
    private func told(_ harness: WatcherHarness) -> Int {
        harness.log.lines("endpoint set changed").map { $0.text("changes").flatMap { Int($0) } ?? 1 }.reduce(0, +)
    }

    /// Waits for a condition that takes time of a manual clock.
    private func untilAdvancing(
        _ clock: ManualClock, by step: Duration, _ condition: () throws -> Bool
    ) async throws {
        try await eventually {
            if try condition() { return true }
            clock.advance(by: step)
            return false
        }
    }

    @Test func aListenerThatOpensAtAnInstancesAddressTakesItOut() async throws {
        let harness = try WatcherHarness()
        try await harness.put("/services/redis/a", one)
        try await harness.put("/services/redis/b", two)
        try await harness.running {
            try await harness.until([one, two])
            harness.own.value = [one]
            harness.watcher.ownEndpointsChanged()
            try await harness.until([two])
        }
        #expect(try harness.report().skipped.map(\.reason) == [.ownListener])
    }

    @Test func garbageIsToldOncePerKeyAndNotWithoutEnd() async throws {
        let harness = try WatcherHarness(clock: ManualClock())
        for _ in 1...3 {
            let bad = RegistryWrite(
                key: "/services/redis/bad", condition: .none, operation: .put(Array("{".utf8), lease: nil))
            _ = try await harness.memory.commit([bad])
        }
        try await harness.running {
            try await harness.until([])
            for number in 1...50 {
                let write = RegistryWrite.create("/services/redis/\(number)", [0], lease: nil)
                _ = try await harness.memory.commit([write])
            }
            try await eventually { try harness.report().skipped.count == 51 }
        }
        #expect(harness.log.lines("entry skipped").count { $0.text("key") == "/services/redis/bad" } == 1)
        #expect(harness.log.lines("entry skipped").count <= 20, "20 a second")
    }
}
