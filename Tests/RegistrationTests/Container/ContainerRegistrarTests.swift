// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// One port of a container, from the engine's word to the registry's. The clock stands still but where it says so.
@Suite(.timeLimit(.minutes(1))) struct ContainerRegistrarTests {
    private let first = "10.77.0.1:32768"
    private let second = "10.77.0.1:32769"

    @Test func publishesWhereTheContainerIsReached() async throws {
        let harness = try ContainerHarness(claim: {
            $0.fields = try RecordFields(arguments: ["weight=7", "version=7.0"])
        })
        try await harness.running {
            harness.list(try Engine.redis())
            let entry = try await harness.until(first)
            #expect(
                String(decoding: entry.value, as: UTF8.self)
                    == #"{"v":1,"host":"10.77.0.1","port":32768,"proto":"tcp","node":"hostA","container":"redis","#
                    + #""weight":7,"priority":0,"meta":{"version":"7.0"},"state":"up","since":"2026-11-22T11:00:00Z"}"#)
            try await harness.untilSaid("registered")
            let line = try #require(harness.log.lines("container found").first)
            #expect(line.level == .info && line.text("container") == "redis" && line.text("endpoint") == first)
            #expect(harness.log.count(of: "waiting for the container") == 0)
        }
    }

    @Test func anOperatorsWordGoesBeforeTheContainers() async throws {
        let harness = try ContainerHarness(
            transport: .udp,
            claim: {
                $0.instance = "redis-demo.service"
                $0.fields = try RecordFields(arguments: ["container=other"])
            })
        try await harness.running {
            harness.list(try Engine.redis(.running, at: [first], .udp))
            try await harness.until("/services/redis-A/redis-demo.service") { record, _ in
                record.container == "other" && record.proto == "udp"
            }
        }
    }

    @Test func waitsForTheContainerAndSaysSoOnce() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list()
            try await harness.untilSaid("waiting for the container")
            harness.list(try Engine.redis(.created))
            harness.list(try Engine.redis(.restarting))
            harness.list()
            harness.list(Container(id: Engine.redisID, names: ["redis"], state: .running, ports: [ContainerPort(6379)]))
            // That an operator has to mend it is news.
            try await harness.untilSaid("waiting for the container", 2)
            let lines = harness.log.lines("waiting for the container")
            #expect(lines.map { $0.text("container") } == ["redis", "redis"])
            #expect(lines.last?.text("why") == "the container's port is exposed but not published")
            #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
            harness.list(try Engine.redis())
            try await harness.until(first)
            #expect(harness.log.count(of: "waiting for the container") == 2)
        }
    }

    @Test func aRestartMovesTheValueUnderItsKey() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(first)
            await harness.idle()
            harness.tell(Engine.kill(15))
            try await harness.until(first, .draining)
            await harness.idle()
            // However long it took to stop.
            harness.clock.advance(by: .seconds(10))
            harness.tell(Engine.event("die"))
            try await harness.untilSaid("container gone")
            harness.tell(Engine.event("start"))
            harness.list(try Engine.redis(at: [second]))
            try await harness.until(second)
            try await harness.untilSaid("up again")
            #expect(try await harness.states() == ["up", "draining", "up"])
            #expect(harness.log.count(of: "address changed") == 1 && harness.log.count(of: "draining") == 1)
            #expect(harness.log.count(of: "container found") == 2 && harness.log.count(of: "registered") == 1)
        }
    }

    @Test func anEndDrainsAndGoes() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(first)
            await harness.idle()
            harness.list(try Engine.redis(.exited))
            try await harness.until(first, .draining)
            await harness.advance(by: ContainerHarness.drainTime)
            try await harness.untilGone()
            try await harness.untilSaid("withdrawn")
            let line = try #require(harness.log.lines("container gone").first)
            #expect(line.text("why") == "the container is exited")
            harness.list()
            await harness.idle()
            // And comes back.
            harness.list(try Engine.redis(at: [second]))
            try await harness.until(second)
            #expect(try await harness.states() == ["up", "draining", "gone", "up"])
            #expect(harness.log.count(of: "container gone") == 1)
            #expect(harness.log.count(of: "waiting for the container") == 0)
        }
    }

    @Test func aPausedOneDrainsUntilItGoesOn() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis(.paused))
            try await harness.until(first, .draining)
            harness.list(try Engine.redis())
            try await harness.until(first)
            harness.tell(Engine.event("pause"))
            try await harness.until(first, .draining)
        }
    }

    @Test func whoRunsOn30SecondsAfterASignalIsUpAgain() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(first)
            await harness.idle()
            harness.clock.advance(by: .seconds(1))
            harness.tell(Engine.kill(15))
            try await harness.until(first, .draining)
            // The upkeep sleeps as long, or a second less.
            await harness.clock.untilSleeping { $0.filter { $0 == .seconds(30) }.count == 2 }
            harness.clock.advance(by: .seconds(29))
            await harness.clock.untilSleeping { $0.contains(.seconds(1)) }
            #expect(try await harness.record()?.state == .draining)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(first)
        }
    }

    /// Killed and started again, as `docker run --restart always` does with a registrator: nobody sees a delete.
    @Test func aFormerProcesssKeyIsTakenOverWithoutADelete() async throws {
        let harness = try ContainerHarness(node: nil, hostName: String(Engine.otherID.prefix(12)))
        let key = "/services/redis-A/10.77.0.1:redis:6379"
        let former = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put(key, node: "10.77.0.1", lease: former)
        let registrator = Container(id: Engine.otherID, names: ["registrator"], state: .running)
        try await harness.running {
            harness.list(registrator, try Engine.redis())
            try await harness.until(key) { record, entry in entry.lease != former && record.node == "10.77.0.1" }
            harness.memory.revoke(former)
            #expect(try await harness.states() == ["up", "up"])
        }
    }

    private func former(_ harness: ContainerHarness, says record: String) async throws -> RegistryLease {
        let lease = harness.memory.grant(timeToLive: .seconds(10))
        try await harness.put(ContainerHarness.key, text: record, lease: lease)
        return lease
    }

    /// A port that we cannot reach ourselves is published after 10 s, longer than a former process's lease may live.
    @Test func whatAFormerProcessPublishedNeedNotAcceptAnew() async throws {
        let harness = try ContainerHarness()
        harness.prober.answer(false)
        let lease = try await former(harness, says: #"{"v":1,"host":"10.77.0.1","port":32768,"node":"hostA"}"#)
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(ContainerHarness.key) { record, entry in entry.lease != lease }
            harness.memory.revoke(lease)
            try await eventually { !harness.prober.asked.isEmpty }
            #expect(try await harness.states() == ["up", "up"])
            // It is a container like another from then on.
            await harness.idle()
            harness.list(try Engine.redis(.exited))
            try await harness.until(first, .draining)
        }
    }

    @Test(arguments: [
        #"{"v":1,"host":"10.77.0.1","port":1,"node":"hostA"}"#,
        #"{"v":1,"host":"10.77.0.1","port":32768,"node":"hostA","state":"draining"}"#,
        #"{"v":1,"host":"10.77.0.1","port":32768,"node":"hostB"}"#,
    ])
    func whatAFormerProcessDidNotPublishSoHasToAccept(_ record: String) async throws {
        let harness = try ContainerHarness()
        harness.prober.answer(false)
        let lease = try await former(harness, says: record)
        try await harness.running {
            harness.list(try Engine.redis())
            try await eventually { harness.prober.asked.count == 1 }
            await harness.idle()
            #expect(try await harness.entry()?.lease == lease)
            harness.memory.revoke(lease)
            harness.prober.answer(true)
            await harness.advance(by: .milliseconds(200))
            try await harness.until(first)
        }
    }

    /// Another port of the container may be reached at the same address.
    @Test(arguments: [["127.0.0.1:8080", "127.0.0.2:8080"], ["0.0.0.0:8080", "[::]:8080"]])
    func thePortOfOneContainerIsPublishedWhateverItsOthersAre(_ bindings: [String]) async throws {
        let harness = try ContainerHarness { $0.advertise = [IPAddress("10.88.0.1")].compactMap(\.self) }
        let ports = [
            ContainerPort(6379, binding: try Engine.binding(bindings[0])),
            ContainerPort(6380, binding: try Engine.binding(bindings[1])),
        ]
        try await harness.running {
            harness.list(Container(id: Engine.redisID, names: ["redis"], state: .running, ports: ports))
            try await harness.until("10.88.0.1:8080")
        }
    }

    @Test func asksForTheSourceAddressOnlyWhenItIsNeeded() async throws {
        let harness = try ContainerHarness(source: "10.66.0.9")
        try await harness.running {
            harness.list(try Engine.redis(at: ["0.0.0.0:1", "[::]:1"]))
            try await harness.until("10.66.0.9:1")
            harness.list(try Engine.redis(at: ["0.0.0.0:1"], labels: ["legation.address": "10.55.0.1"]))
            try await harness.until("10.55.0.1:1")
        }
    }

    // MARK: What cannot be published

    @Test func inAContainerTheSourceAddressIsNobodys() async throws {
        let harness = try ContainerHarness(source: "172.17.0.3")
        let own = Container(
            id: Engine.otherID, names: ["registrator"], state: .running,
            networks: ["bridge": [IPAddress("172.17.0.3")].compactMap(\.self)])
        harness.list(own, try Engine.redis(at: ["0.0.0.0:1"]))
        let error = await #expect(throws: IdentityError.self) { try await harness.registrar.run() }
        #expect(error?.flag == "--advertise")
        #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
    }

    @Test func whatCanNeverStandEndsItAtOnce() async throws {
        let harness = try ContainerHarness(claim: { $0.instance = "a/b" })
        harness.list(try Engine.redis())
        await #expect(throws: Registration.Problem.self) { try await harness.registrar.run() }
    }

    @Test func laterItIsLoggedAndWithdrawn() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(first)
            await harness.idle()
            harness.list(try Engine.redis(at: ["127.0.0.1:1"]))
            try await harness.until(first, .draining)
            await harness.advance(by: ContainerHarness.drainTime)
            try await harness.untilGone()
            let line = try #require(harness.log.lines("container cannot be published").first)
            #expect(line.level == .error && line.text("error")?.contains("--allow-loopback") == true)
            harness.list(try Engine.redis(at: [second]))
            try await harness.until(second)
        }
    }

    /// A network that comes up takes seconds, and the container need not change for it.
    @Test func whatCouldNotBePublishedIsTriedAgain() async throws {
        let addresses = InterfaceAddresses()
        addresses.are("10.77.0.1")
        let harness = try ContainerHarness(interface: addresses) { $0.advertiseInterface = "wg0" }
        try await harness.running {
            harness.list(try Engine.redis(at: ["0.0.0.0:1"]))
            try await harness.until("10.77.0.1:1")
            await harness.idle()
            addresses.are()
            harness.list(try Engine.redis(at: ["0.0.0.0:2"]))
            try await harness.untilSaid("container cannot be published")
            await harness.advance(by: .seconds(5))
            await harness.clock.untilSleeping { $0.contains(.seconds(5)) }
            #expect(harness.log.count(of: "container cannot be published") == 1, "said once")
            addresses.are("10.77.0.1")
            await harness.advance(by: .seconds(5))
            try await harness.until("10.77.0.1:2")
        }
    }

    // MARK: Its end

    @Test func withdrawnBeforeAnythingIsPublishedItJustReturns() async throws {
        let waiting = try ContainerHarness()
        waiting.list()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await waiting.registrar.run() }
            try await waiting.untilSaid("waiting for the container")
            waiting.registrar.withdraw()
            waiting.registrar.withdraw()
            try await group.waitForAll()
        }
        let early = try ContainerHarness()
        early.registrar.withdraw()
        early.list(try Engine.redis())
        try await early.registrar.run()
        #expect(early.store.commits == 0)
    }

    @Test func withdrawnItDrainsDeletesAndReturns() async throws {
        let harness = try ContainerHarness()
        harness.list(try Engine.redis())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrar.run() }
            try await harness.until(first)
            await harness.idle()
            harness.registrar.withdraw()
            try await harness.until(first, .draining)
            // What the engine says now changes nothing any more.
            harness.list(try Engine.redis(at: [second]))
            try await eventually {
                harness.clock.advance(by: .milliseconds(500))
                return try await harness.entry() == nil
            }
            try await group.waitForAll()
        }
        #expect(try await harness.states() == ["up", "draining", "gone"])
        #expect(try await harness.memory.list(.prefix("/services")).entries.isEmpty)
    }

    @Test func cancellationRevokesWithoutDraining() async throws {
        let harness = try ContainerHarness()
        harness.list(try Engine.redis())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrar.run() }
            try await harness.until(first)
            group.cancelAll()
            await #expect(throws: CancellationError.self) { try await group.waitForAll() }
        }
        #expect(try await harness.states() == ["up", "gone"])
    }
}
