// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// Other programs' forms beside our own: written, looked after and taken back with it.
@Suite(.timeLimit(.minutes(1))) struct SecondFormsTests {
    private static let skydns = "/skydns/local/skydns/redis/i0"
    private static let naming = "services/redis/i0"
    private static let registrator = "/registrator/redis/i0"
    private static let keys = [skydns, naming, registrator]

    private func harness(
        memory: MemoryStore = MemoryStore(), clock: ManualClock? = nil, process: String = "p1",
        forms: [String] = ["skydns", "naming", "registrator"]
    ) throws -> Harness {
        let forms = try forms.map { try #require(SecondForm($0)) }
        return try Harness(memory: memory, clock: clock, identity: Fixture.identity(process: process)) {
            $0.also = forms
        }
    }

    private func text(_ key: String, _ harness: Harness) async throws -> String? {
        try await harness.entry(key).map { String(decoding: $0.value, as: UTF8.self) }
    }

    private func untilAllStand(_ harness: Harness) async throws {
        for key in Self.keys { try await eventually { try await harness.entry(key) != nil } }
    }

    @Test func allFormsStandAtOnceUnderOneLease() async throws {
        let harness = try harness()
        try await harness.running {
            let entry = try await harness.untilPublished()
            #expect(harness.store.commits == 1)
            for key in Self.keys {
                let other = try #require(try await harness.entry(key))
                #expect(other.lease == entry.lease && other.modRevision == entry.modRevision)
            }
            #expect(try await text(Self.naming, harness) == #"{"Op":0,"Addr":"10.77.0.1:6379","Metadata":null}"#)
        }
    }

    /// They have no word for draining: they go when it is said.
    @Test func atTheEndTheyGoBeforeTheDrainTime() async throws {
        let clock = ManualClock()
        let harness = try harness(clock: clock)
        let start = harness.memory.health.revision
        try await harness.withdrawing(clock, .milliseconds(100)) {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 4 }
        }
        let history = try await harness.history(.prefix(""), from: start + 1)
        let draining = try #require(history.firstIndex(of: "draining \(Harness.key)"))
        for key in Self.keys {
            let gone = try #require(history.firstIndex(of: "gone \(key)"))
            #expect(gone < draining && !history.contains("draining \(key)"))
        }
        #expect(history.suffix(2) == ["gone \(Harness.key)", "gone \(Harness.presence)"])
    }

    @Test func aDrainingInstanceStandsInNoneOfThemUntilItIsUpAgain() async throws {
        let harness = try harness()
        let registration = try Fixture.registration()
        try await harness.running {
            try await untilAllStand(harness)
            harness.registrator.publish([Wanted(registration, .draining)])
            try await harness.until { record, _ in record.state == .draining }
            for key in Self.keys { try await eventually { try await harness.entry(key) == nil } }
            harness.registrator.publish([Wanted(registration)])
            try await harness.untilPublished()
            try await untilAllStand(harness)
            #expect(harness.registrator.statistics().changesUndone == 0, "nobody else changed anything")
            harness.registrator.publish([])
            for key in Self.keys + [Harness.key] { try await eventually { try await harness.entry(key) == nil } }
        }
    }

    @Test func weightZeroStandsInNoneOfThem() async throws {
        let harness = try harness()
        try await harness.running {
            try await untilAllStand(harness)
            harness.registrator.publish([Wanted(try Fixture.registration(fields: ["weight=0"]))])
            try await harness.until { record, _ in record.weight == 0 }
            for key in Self.keys { try await eventually { try await harness.entry(key) == nil } }
        }
    }

    @Test func whatIsMissingOrChangedIsPutBack() async throws {
        let clock = ManualClock()
        let harness = try harness(clock: clock)
        try await harness.running {
            try await untilAllStand(harness)
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            let before = try await text(Self.naming, harness)
            try await harness.put(Self.naming, text: "by hand")
            try await harness.delete(Self.skydns)
            clock.advance(by: .seconds(30))
            try await eventually { try await text(Self.naming, harness) == before }
            try await eventually { try await harness.entry(Self.skydns) != nil }
            #expect(harness.registrator.statistics().changesUndone == 2)
        }
    }

    /// What a former process of our node left stands on the lease of its presence.
    @Test func aFormerProcesssFormsAreTakenOverWithoutADelete() async throws {
        let memory = MemoryStore()
        let harness = try harness(memory: memory, process: "p2")
        let former = memory.grant(timeToLive: .seconds(3600))
        let start = memory.health.revision
        try await harness.put("/services-nodes/hostA/p1", text: #"{"v":1,"boot":"boot1"}"#, lease: former)
        try await harness.put(node: "hostA", lease: former)
        for key in Self.keys { try await harness.put(key, text: "former", lease: former) }
        try await harness.running {
            for key in Self.keys + [Harness.key] {
                try await eventually { try await harness.entry(key).map { $0.lease != former } ?? false }
            }
            memory.revoke(former)
            for key in Self.keys + [Harness.key] { #expect(try await harness.entry(key) != nil) }
            let history = try await harness.history(.prefix(""), from: start + 1)
            #expect(history.filter { $0.hasPrefix("gone") } == ["gone /services-nodes/hostA/p1"])
        }
    }

    /// Under a stranger's lease, or without one and with other words: nobody can say that it is ours.
    @Test(arguments: [true, false])
    func whatAnotherKeepsIsLeftAlone(_ isLeased: Bool) async throws {
        let clock = ManualClock()
        let harness = try harness(clock: clock)
        let foreign = isLeased ? harness.memory.grant(timeToLive: .seconds(3600)) : nil
        try await harness.put(Self.naming, text: "another's", lease: foreign)
        try await harness.running {
            try await harness.untilPublished()
            for _ in 0..<3 {
                await clock.untilSleeping { $0.contains { $0 < .seconds(30) && $0 != .seconds(1) } }
                clock.advance(by: .seconds(10))
            }
            try await eventually { harness.registrator.statistics().foreignOwners >= 3 }
            #expect(harness.log.count(of: "key belongs to another node") == 1)
            #expect(try await text(Self.naming, harness) == "another's")
            #expect(try await harness.entry(Self.skydns) != nil, "the others stand")
            try await harness.delete(Self.naming)
            try await eventually {
                clock.advance(by: .seconds(10))
                return try await text(Self.naming, harness) != nil
            }
        }
    }

    /// A stranger's entry is not ours to remove either.
    @Test func whatAnotherKeepsStaysWhenWeGo() async throws {
        let harness = try harness()
        let foreign = harness.memory.grant(timeToLive: .seconds(3600))
        try await harness.put(Self.naming, text: "another's", lease: foreign)
        _ = try await harness.withdrawing {
            try await harness.untilPublished()
            try await eventually { harness.log.count(of: "registered") == 3 }
        }
        #expect(try await text(Self.naming, harness) == "another's")
        #expect(try await harness.memory.list(.prefix("")).entries.count == 1)
    }

    /// `Redis` and `redis` are one name of DNS: the process goes on, and one of them has it.
    @Test func twoServicesOfOneNameShareAFormsKey() async throws {
        let form = try #require(SecondForm("skydns"))
        let harness = try Harness(services: ["redis", "Redis"]) { $0.also = [form] }
        try await harness.running {
            try await harness.untilPublished()
            try await harness.untilPublished("/services/Redis/i0")
            #expect(try await harness.memory.list(.prefix("/skydns/")).entries.map(\.key) == [Self.skydns])
        }
    }
}
