// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// All labelled containers of a host, from the engine's word to the registry's. The clock stands still but where it says
/// so.
@Suite(.timeLimit(.minutes(1))) struct LabelModeTests {
    private static let second = "10.77.0.1:32769->6379/tcp"
    private static let keyOfWeb = "/services/web/hostA:web:80"

    private func harness(_ rules: LabelRules = LabelRules(), source: String? = "10.77.0.1") throws -> ContainerHarness {
        try ContainerHarness(source: source, rules: rules)
    }

    private func redis(
        _ labels: [String: String] = [:], at port: String = "10.77.0.1:32768->6379/tcp", name: String = "redis",
        state: ContainerState = .running, health: ContainerHealth = .none, id: String = Engine.redisID
    ) throws -> Container {
        try Labelled.container(
            ["legation.service": "redis-A"].merging(labels) { $1 }, ports: [port], name: name, id: id, state: state,
            health: health)
    }

    private func web(_ labels: [String: String] = ["legation.service": "web"]) throws -> Container {
        try Labelled.container(labels, ports: ["10.77.0.1:8000->80/tcp"], name: "web", id: Engine.otherID)
    }

    private func services(_ harness: ContainerHarness) async throws -> [String] {
        try await harness.memory.list(.prefix("/services/")).entries.map { entry in
            let record = try InstanceRecord(decoding: entry.value)
            return "\(entry.key) \(record.endpoint) \(record.state)"
        }
    }

    // MARK: What is published

    @Test func everyLabelledContainerIsPublishedAndNobodyElse() async throws {
        let harness = try harness()
        try await harness.running {
            let third = try Labelled.container([:], name: "other", id: String(repeating: "b", count: 64))
            harness.list(try redis(["legation.weight": "7"]), try web(), third)
            try await harness.until("10.77.0.1:32768")
            try await harness.until(Self.keyOfWeb) { record, _ in record.container == "web" }
            #expect(try await harness.record()?.weight == 7)
            #expect(try await services(harness).count == 2)
            #expect(harness.log.count(of: "container found") == 0, "the registrator tells of it")
            // And what is no longer there goes, the other stays.
            await harness.idle()
            harness.list(try redis(), third)
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .draining }
            await harness.advance(by: ContainerHarness.drainTime)
            try await harness.untilGone(Self.keyOfWeb)
            #expect(try await harness.record()?.state == .up)
        }
    }

    /// A host without services is one of the nodes all the same.
    @Test func thePresenceKeyStandsFromTheFirstListingOn() async throws {
        let harness = try harness()
        try await harness.running {
            harness.lose()
            try await harness.untilSaid("container engine cannot be reached")
            #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
            harness.list()
            try await eventually { try await harness.memory.list(.prefix("/services-nodes/hostA/")).entries.count == 1 }
        }
    }

    @Test func aRestartWithAnotherPortIsTheSameKey() async throws {
        let harness = try harness()
        try await harness.running {
            harness.list(try redis(), try web())
            try await harness.until("10.77.0.1:32768")
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            await harness.idle()
            harness.tell(Engine.kill(15))
            try await harness.until("10.77.0.1:32768", .draining)
            harness.tell(Engine.event("die"))
            harness.tell(Engine.event("start"))
            harness.list(try redis(at: Self.second), try web())
            try await harness.until("10.77.0.1:32769")
            #expect(try await harness.history(.key(Self.keyOfWeb), from: 1).count == 1, "nothing happened to the other")
            #expect(
                try await harness.history(.key(ContainerHarness.key), from: 1).map { $0.prefix(2) } == [
                    "up", "dr", "up",
                ])
        }
    }

    @Test func aRenamedOneGetsAnotherKey() async throws {
        let harness = try harness()
        let key = "/services/redis-A/hostA:cache:6379"
        try await harness.running {
            harness.list(try redis())
            try await harness.until("10.77.0.1:32768")
            await harness.idle()
            harness.list(try redis(name: "cache"))
            try await harness.until(key) { record, _ in record.container == "cache" && record.state == .up }
            try await harness.until("10.77.0.1:32768", .draining)
            await harness.advance(by: ContainerHarness.drainTime)
            try await harness.untilGone()
            #expect(harness.prober.asked.count == 1, "it is the same container at the same address")
        }
    }

    @Test(arguments: ["destroy", "remove", "die", "died"])
    func anEventIsEnoughForTheEnd(_ word: String) async throws {
        let harness = try harness()
        try await harness.running {
            harness.list(try redis())
            try await harness.until("10.77.0.1:32768")
            harness.tell(Engine.event(word))
            try await harness.until("10.77.0.1:32768", .draining)
        }
    }

    // MARK: Health

    @Test func aHealthCheckDecides() async throws {
        let harness = try harness()
        harness.prober.answer(false)
        try await harness.running {
            harness.list(try redis(health: .starting), try web())
            // What has no check is asked meanwhile.
            try await eventually { !harness.prober.asked.isEmpty }
            harness.tell(ContainerEvent(action: "health_status", container: Engine.redisID, health: .healthy))
            try await harness.until("10.77.0.1:32768")
            harness.list(try redis(health: .unhealthy))
            try await harness.until("10.77.0.1:32768", .draining)
            harness.list(try redis(health: .healthy))
            try await harness.until("10.77.0.1:32768")
            harness.tell(ContainerEvent(action: "health_status", container: Engine.redisID, health: .unhealthy))
            try await harness.until("10.77.0.1:32768", .draining)
            #expect(Set(harness.prober.asked.map(\.port)) == [8000])
        }
    }

    @Test func whatListensLateIsPublishedLate() async throws {
        let harness = try harness()
        harness.prober.answer(false)
        try await harness.running {
            harness.list(try redis())
            for count in 1...3 {
                try await eventually { harness.prober.asked.count == count }
                await harness.clock.untilSleeping { $0.contains(.milliseconds(200)) }
                #expect(try await harness.entry() == nil)
                if count == 3 { harness.prober.answer(true) }
                harness.clock.advance(by: .milliseconds(200))
            }
            try await harness.until("10.77.0.1:32768")
            #expect(harness.log.count(of: "port accepts no connections, published all the same") == 0)
        }
    }

    @Test func whatNeverListensIsPublishedWithAWarning() async throws {
        let harness = try harness()
        harness.prober.answer(false)
        try await harness.running {
            harness.list(try redis())
            await harness.clock.untilSleeping { $0.contains(.milliseconds(200)) && $0.contains(.seconds(10)) }
            harness.clock.advance(by: .seconds(10))
            try await harness.until("10.77.0.1:32768")
            let line = try #require(harness.log.lines("port accepts no connections, published all the same").first)
            #expect(line.level == .warning && line.text("container") == "redis")
        }
    }

    // MARK: What is wrong

    @Test func aWrongLabelIsToldOnceAndHarmsNobodyElse() async throws {
        let harness = try harness()
        try await harness.running {
            let bad = try redis(["legation.weight": String(repeating: "9", count: 100)])
            harness.list(bad, try web())
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            harness.list(bad, try web(["legation.service": "web", "legation.weight": "5"]))
            try await harness.until(Self.keyOfWeb) { record, _ in record.weight == 5 }
            let lines = harness.log.lines("label cannot be used")
            #expect(lines.count == 1 && lines.first?.level == .warning)
            #expect(lines.first?.text("container") == "redis" && lines.first?.text("label") == "legation.weight")
            #expect(lines.first?.text("value")?.count == 64 && lines.first?.text("allowed") == "0...1000")
            #expect(try await harness.entry() == nil)
        }
    }

    @Test func aServiceThatMayNotBeClaimedIsNot() async throws {
        let harness = try harness(LabelRules(allowed: [try #require(ServicePattern("web*"))]))
        try await harness.running {
            harness.list(try redis(), try web())
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            #expect(try await services(harness).count == 1)
            #expect(harness.log.lines("label cannot be used").map { $0.text("value") } == ["redis-A"])
        }
    }

    @Test func aPortThatIsNotPublishedIsTold() async throws {
        let harness = try harness()
        try await harness.running {
            harness.list(try redis(at: "6379/tcp"))
            try await harness.untilSaid("container's port cannot be published")
            harness.list(try redis(at: "6379/tcp"), try web())
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            let lines = harness.log.lines("container's port cannot be published")
            #expect(lines.count == 1 && lines.first?.text("container") == "redis")
            #expect(lines.first?.text("why") == "the container's port is exposed but not published")
        }
    }

    /// What ends a registrator of one container is one of many here.
    @Test func whatCannotBePublishedIsLoggedAndTriedAgain() async throws {
        let harness = try harness()
        try await harness.running {
            harness.list(try redis(at: "127.0.0.1:1->6379/tcp"), try web())
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            try await harness.untilSaid("container cannot be published")
            let line = try #require(harness.log.lines("container cannot be published").first)
            #expect(line.text("container") == "redis" && line.text("error")?.contains("--allow-loopback") == true)
            await harness.clock.untilSleeping { $0.contains(.seconds(5)) }
            harness.clock.advance(by: .seconds(5))
            await harness.clock.untilSleeping { $0.contains(.seconds(5)) }
            #expect(harness.log.count(of: "container cannot be published") == 1, "said once")
        }
    }

    @Test func withoutAnAddressOfOurOwnItWaits() async throws {
        let harness = try harness(source: nil)
        try await harness.running {
            harness.list()
            try await harness.untilSaid("nothing can be published")
            #expect(harness.log.lines("nothing can be published").first?.text("error")?.contains("--advertise") == true)
            #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
            // A port that is published on one address says where we are.
            harness.list(try redis())
            try await harness.until("10.77.0.1:32768")
        }
    }

    // MARK: Two for one key

    @Test func ofTwoThatClaimOneKeyTheFirstIdHasIt() async throws {
        let harness = try harness()
        let key = "/services/redis-A/one"
        let label = ["legation.instance": "one"]
        let first = try redis(label)
        let other = try redis(label, at: "10.77.0.1:32769->6379/tcp", name: "twin", id: Engine.otherID)
        try await harness.running {
            harness.list(other, first)
            try await harness.until(key) { record, _ in record.container == "redis" && record.state == .up }
            try await harness.untilSaid("two containers claim one key")
            harness.list(first, other, try web())
            let line = try #require(harness.log.lines("two containers claim one key").first)
            #expect(line.text("container") == "twin" && line.text("published") == "redis")
            // Who is about to leave makes room.
            harness.tell(Engine.kill(15))
            try await harness.until(key) { record, _ in record.container == "twin" && record.state == .up }
        }
    }

    // MARK: Networks

    @Test func aContainersOwnAddressIsPublishedButIsNotOurs() async throws {
        let harness = try harness(LabelRules(network: "back"))
        let container = try Labelled.container(
            ["legation.service": "redis-A"], ports: ["6379/tcp"],
            networks: ["back": ["fd00::7", "172.30.0.7"].compactMap { IPAddress($0) }])
        try await harness.running {
            harness.list(container, try web())
            try await harness.until("172.30.0.7:6379")
            try await harness.untilSaid("container's port cannot be published")
            let line = try #require(harness.log.lines("container's port cannot be published").first)
            #expect(line.text("why") == "the container has no address on the network back")
            let presence = try #require(try await harness.memory.list(.prefix("/services-nodes/")).entries.first)
            #expect(String(decoding: presence.value, as: UTF8.self).contains("10.77.0.1"))
        }
    }

    @Test func aContainersOwnAddressSaysNothingOfOurs() async throws {
        let harness = try harness(LabelRules(network: "back"), source: nil)
        let container = try Labelled.container(
            ["legation.service": "redis-A"], ports: ["6379/tcp"],
            networks: ["back": ["172.30.0.7"].compactMap { IPAddress($0) }])
        try await harness.running {
            harness.list(container)
            try await harness.untilSaid("nothing can be published")
            #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
        }
    }

    @Test func onTheHostsNetworkTheHostsAddressIsPublished() async throws {
        let harness = try harness()
        let container = try Labelled.container(
            ["legation.service": "redis-A", "legation.port": "6379"], ports: [], usesHostNetwork: true)
        try await harness.running {
            harness.list(container)
            try await harness.until("10.77.0.1:6379")
        }
    }

    // MARK: While the engine is away

    @Test func eachIsBelievedInAsLongAsItAccepts() async throws {
        let harness = try harness()
        try await harness.running {
            harness.list(try redis(), try web())
            try await harness.until("10.77.0.1:32768")
            try await harness.until(Self.keyOfWeb) { record, _ in record.state == .up }
            await harness.idle()
            harness.prober.answer { $0.port == 8000 }
            harness.prober.forget()
            harness.lose()
            try await eventually { harness.prober.asked.count == 2 }
            await harness.clock.untilSleeping { $0.count >= 3 && $0.contains(.seconds(5)) }
            harness.clock.advance(by: .seconds(5))
            try await harness.until("10.77.0.1:32768", .draining)
            #expect(try await harness.record(Self.keyOfWeb)?.state == .up)
        }
    }

    // MARK: Its end

    @Test func withdrawnItTakesAllOfItBack() async throws {
        let harness = try harness()
        harness.list(try redis(), try web())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrar.run() }
            try await eventually { try await services(harness).count == 2 }
            await harness.idle()
            harness.registrar.withdraw()
            try await eventually {
                harness.clock.advance(by: .milliseconds(500))
                return try await services(harness).isEmpty
            }
            try await group.waitForAll()
        }
        #expect(try await harness.memory.list(.prefix("/services")).entries.isEmpty)
        #expect(harness.log.count(of: "withdrawn") == 2)
    }

    @Test func withdrawnBeforeAnythingIsPublishedItJustReturns() async throws {
        let harness = try harness()
        harness.list()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await harness.registrar.run() }
            try await eventually { try await harness.memory.list(.prefix("/services-nodes/")).entries.count == 1 }
            harness.registrar.withdraw()
            try await group.waitForAll()
        }
        #expect(try await harness.memory.list(.prefix("/")).entries.isEmpty)
        #expect(harness.log.count(of: "waiting for the registry") == 0)
    }

    // MARK: Many

    @Test func threeHundredAreAskedAndPublishedTogether() async throws {
        let harness = try harness()
        let containers = try (1...300).map { number in
            try redis(
                at: "10.77.0.1:\(20000 + number)->6379/tcp", name: "redis-\(number)",
                id: String(repeating: "\(number % 10)", count: 60) + "\(1000 + number)")
        }
        try await harness.running {
            harness.list(all: containers)
            try await eventually { try await services(harness).count == 300 }
            #expect(harness.prober.asked.count == 300)
            try await harness.untilSaid("registered", 300)
            #expect(harness.log.count(of: "registered") == 300)
        }
    }
}
