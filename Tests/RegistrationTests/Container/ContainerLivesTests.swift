// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

@Suite struct ContainerLivesTests {
    private func rules(_ name: String = "redis", _ transport: ContainerPort.Transport = .tcp) throws -> OneContainer {
        try OneContainer(name, transport)
    }

    /// That have seen the container run.
    private func running() throws -> OneContainer {
        var rules = try rules()
        rules.listed([try Engine.redis()], now: .zero)
        return rules
    }

    private func verdict(_ containers: [Container], for name: String = "redis") throws -> ContainerVerdict {
        var rules = try rules(name)
        rules.listed(containers, now: .zero)
        return rules.verdict
    }

    private func state(_ verdict: ContainerVerdict) -> InstanceRecord.State? {
        guard case .present(let sighting) = verdict else { return nil }
        return sighting.state
    }

    // MARK: What is listed

    @Test func nothingIsKnownBeforeTheFirstListing() throws {
        #expect(try rules().verdict == .absent(.unlisted))
    }

    /// Podman has a word for one that has got its stop signal, and tells of that by no event.
    @Test(
        .row("R7"),
        arguments: [
            (ContainerState.running, InstanceRecord.State.up), (.paused, .draining), (.stopping, .draining),
            (.created, nil), (.restarting, nil), (.removing, nil), (.exited, nil), (.dead, nil),
            (ContainerState(rawValue: "dreaming"), nil),
        ])
    func aStateSaysWhetherItIsPublished(_ state: ContainerState, _ expected: InstanceRecord.State?) throws {
        let verdict = try verdict([try Engine.redis(state)])
        #expect(self.state(verdict) == expected)
        if expected == nil { #expect(verdict == .absent(.notRunning(state))) }
    }

    @Test func saysWhatItHasSeen() throws {
        let found = try verdict([try Engine.redis(names: ["redis", "alias"])], for: "alias")
        let bindings = [try Engine.binding("10.77.0.1:32768")]
        #expect(
            found
                == .present(
                    ContainerVerdict.Sighting(container: "redis", bindings: bindings, state: .up)))
    }

    private static func redisID(_ digits: Int) -> String { String(Engine.redisID.prefix(digits)) }

    private static let names: [(String, Bool)] = [
        ("redis", true), ("/redis", true), ("redi", false), ("redis2", false), ("REDIS", false),
        (Engine.redisID, true), (redisID(12), true), (redisID(40), true), (redisID(11), false),
        (String(Engine.redisID.dropFirst()), false),
    ]

    @Test(arguments: names) func isMeantByNameOrId(_ name: String, _ isMeant: Bool) throws {
        let other = Container(id: Engine.otherID, names: ["other"], state: .running)
        let verdict = try verdict([other, try Engine.redis()], for: name)
        #expect(verdict == .absent(.noSuchContainer) || isMeant)
        #expect(state(verdict) == (isMeant ? .up : nil))
    }

    @Test func aNameGoesBeforeTheBeginningOfAnId() throws {
        let beginning = String(Engine.redisID.prefix(12))
        let named = try Engine.redis(at: ["10.77.0.1:7"], id: Engine.otherID, names: [beginning])
        guard case .present(let sighting) = try verdict([try Engine.redis(), named], for: beginning) else {
            Issue.record("not found")
            return
        }
        #expect(sighting.bindings == [try Engine.binding("10.77.0.1:7")] && sighting.container == beginning)
    }

    @Test func anAmbiguousBeginningIsNobody() throws {
        let twin = try Engine.redis(id: String(Engine.redisID.dropLast()) + "f", names: ["twin"])
        let verdict = try verdict([try Engine.redis(), twin], for: String(Engine.redisID.prefix(12)))
        #expect(verdict == .absent(.noSuchContainer))
    }

    @Test func aContainerWithoutANameIsItsId() throws {
        guard case .present(let sighting) = try verdict([try Engine.redis(names: [])], for: Engine.redisID) else {
            Issue.record("not found")
            return
        }
        #expect(sighting.container == "3f4e5d6c7b8a")
    }

    @Test func aPortHasToBePublished() throws {
        func container(_ ports: [ContainerPort]) -> Container {
            Container(id: Engine.redisID, names: ["redis"], state: .running, ports: ports)
        }
        let binding = try Engine.binding("10.77.0.1:1")
        #expect(try verdict([container([])]) == .absent(.portUnknown))
        #expect(try verdict([container([ContainerPort(6380, binding: binding)])]) == .absent(.portUnknown))
        #expect(try verdict([container([ContainerPort(6379, .udp, binding: binding)])]) == .absent(.portUnknown))
        #expect(try verdict([container([ContainerPort(6379)])]) == .absent(.portNotPublished))
        let none = ContainerPort.Binding(address: .unspecifiedV4, port: 0)
        #expect(try verdict([container([ContainerPort(6379, binding: none)])]) == .absent(.portNotPublished))
        #expect(state(try verdict([container([ContainerPort(6379), ContainerPort(6379, binding: binding)])])) == .up)
    }

    @Test func theTransportCounts() throws {
        var rules = try rules("redis", .udp)
        rules.listed([try Engine.redis(at: ["10.77.0.1:1"], .udp)], now: .zero)
        #expect(state(rules.verdict) == .up)
    }

    @Test(arguments: [
        (["[::]:2", "0.0.0.0:1"], ["0.0.0.0:1", "[::]:2"]),
        (["0.0.0.0:1", "10.77.0.1:2"], ["10.77.0.1:2", "0.0.0.0:1"]),
        (["[::]:1", "[fd00::1]:2", "0.0.0.0:3"], ["0.0.0.0:3", "[fd00::1]:2", "[::]:1"]),
        (["127.0.0.1:1", "0.0.0.0:2"], ["0.0.0.0:2", "127.0.0.1:1"]),
        (["127.0.0.1:1", "[::1]:1", "[fd00::1]:2"], ["[fd00::1]:2", "127.0.0.1:1", "[::1]:1"]),
        (["10.77.0.1:2", "10.77.0.1:1", "10.66.0.1:9"], ["10.66.0.1:9", "10.77.0.1:1", "10.77.0.1:2"]),
        (["0.0.0.0:1", "0.0.0.0:1"], ["0.0.0.0:1"]),
    ])
    func theBestBindingComesFirst(_ listed: [String], _ expected: [String]) throws {
        guard case .present(let sighting) = try verdict([try Engine.redis(at: listed)]) else {
            Issue.record("not found")
            return
        }
        #expect(sighting.bindings == (try expected.map { try Engine.binding($0) }))
    }

    // MARK: What is told

    @Test(arguments: [
        (2, true), (3, true), (9, true), (15, true), (28, true), (37, true), (50, true), (64, true),
        (1, false), (10, false), (12, false), (18, false), (19, false), (34, false), (36, false), (0, false),
        (nil, false),
    ])
    func someSignalsAreFarewells(_ signal: Int?, _ isFarewell: Bool) throws {
        var rules = try running()
        rules.happened(Engine.kill(signal), now: .zero)
        #expect(state(rules.verdict) == (isFarewell ? .draining : .up))
        #expect(rules.deadline == (isFarewell ? .seconds(30) : nil))
    }

    @Test func aSignalToAnotherContainerIsNothing() throws {
        var rules = try running()
        rules.happened(Engine.kill(15, Engine.otherID, name: "other"), now: .zero)
        rules.happened(ContainerEvent(action: "die", container: Engine.otherID, name: "other"), now: .zero)
        #expect(state(rules.verdict) == .up)
    }

    @Test func anotherContainersSignalIsNoEndOfOurs() throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(Engine.kill(15, Engine.otherID, name: "other"), now: .seconds(1))
        #expect(state(rules.verdict) == .draining && rules.deadline == .seconds(30))
    }

    @Test func aSignalBeforeTheFirstListingCounts() throws {
        var rules = try rules()
        rules.happened(Engine.kill(15), now: .zero)
        rules.listed([try Engine.redis()], now: .seconds(1))
        #expect(state(rules.verdict) == .draining)
    }

    @Test func whoRunsOnFor30SecondsIsUpAgain() throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .seconds(1))
        rules.listed([try Engine.redis()], now: .seconds(20))
        rules.timeReached(.seconds(31) - .nanoseconds(1))
        #expect(state(rules.verdict) == .draining && rules.deadline == .seconds(31))
        rules.timeReached(.seconds(31))
        #expect(state(rules.verdict) == .up && rules.deadline == nil)
    }

    @Test func anotherSignalTakesAnother30Seconds() throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(Engine.kill(1), now: .seconds(20))
        rules.happened(Engine.kill(2), now: .seconds(29))
        rules.timeReached(.seconds(58))
        #expect(state(rules.verdict) == .draining && rules.deadline == .seconds(59))
    }

    @Test(arguments: ["die", "died"])
    func theEndIsAtOnceAndWhatComesAfterIsFresh(_ word: String) throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(Engine.event(word), now: .seconds(1))
        #expect(rules.verdict == .absent(.notRunning(.exited)))
        rules.happened(Engine.event("start"), now: .seconds(2))
        #expect(rules.verdict == .absent(.notRunning(.exited)))
        rules.listed([try Engine.redis(at: ["10.77.0.1:9"])], now: .seconds(2))
        #expect(state(rules.verdict) == .up && rules.deadline == nil)
    }

    @Test func aStartAfterASignalIsFresh() throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(Engine.event("start"), now: .seconds(1))
        rules.listed([try Engine.redis()], now: .seconds(1))
        #expect(state(rules.verdict) == .up)
    }

    @Test func aListingWithoutItEndsASignalToo() throws {
        for listing in [[], [try Engine.redis(.exited)]] {
            var rules = try running()
            rules.happened(Engine.kill(15), now: .zero)
            rules.listed(listing, now: .seconds(1))
            rules.listed([try Engine.redis()], now: .seconds(2))
            #expect(state(rules.verdict) == .up)
        }
    }

    @Test func aPauseIsSeenBeforeItIsListed() throws {
        var rules = try running()
        rules.happened(Engine.event("pause"), now: .zero)
        #expect(state(rules.verdict) == .draining)
        rules.happened(Engine.event("unpause"), now: .zero)
        #expect(state(rules.verdict) == .up)
        rules.happened(Engine.event("pause"), now: .zero)
        rules.listed([try Engine.redis()], now: .zero)
        #expect(state(rules.verdict) == .up, "the listing is the truth")
    }

    @Test func aPausedOneThatWasSentASignalGoesOnDraining() throws {
        var rules = try running()
        rules.happened(Engine.event("pause"), now: .zero)
        rules.happened(Engine.kill(15), now: .zero)
        rules.listed([try Engine.redis(.paused)], now: .seconds(1))
        rules.happened(Engine.event("unpause"), now: .seconds(2))
        #expect(state(rules.verdict) == .draining)
    }

    @Test func eventsRaiseNobodyFromTheDead() throws {
        var rules = try rules()
        rules.listed([try Engine.redis(.exited)], now: .zero)
        for word in ["pause", "unpause", "start", "restart", "exec_create", "health_status"] {
            rules.happened(Engine.event(word), now: .zero)
            #expect(rules.verdict == .absent(.notRunning(.exited)))
        }
    }

    /// An engine that cannot be reached is not one without containers.
    @Test func whatWasSeenStaysWhileTheEngineIsAway() throws {
        var rules = try running()
        rules.lost()
        rules.timeReached(.seconds(3600))
        #expect(state(rules.verdict) == .up)
        rules.listed([], now: .seconds(3600))
        #expect(rules.verdict == .absent(.noSuchContainer))
    }

    @Test func whileTheEngineIsAwayNobodyIsSaidToRunOn() throws {
        var rules = try running()
        rules.happened(Engine.kill(15), now: .zero)
        rules.lost()
        #expect(rules.deadline == nil)
        rules.timeReached(.seconds(60))
        #expect(state(rules.verdict) == .draining)
        rules.listed([try Engine.redis()], now: .seconds(61))
        #expect(state(rules.verdict) == .up)
    }

    // MARK: Health

    @Test(
        arguments: [
            (.none, nil, .up), (.healthy, nil, .up), (.unhealthy, nil, .draining), (.starting, .unchecked, nil),
        ] as [(ContainerHealth, ContainerVerdict.Absence?, InstanceRecord.State?)])
    func aHealthCheckDecides(
        _ health: ContainerHealth, _ absence: ContainerVerdict.Absence?, _ state: InstanceRecord.State?
    ) throws {
        let verdict = try verdict([try Engine.redis(health: health)])
        #expect(self.state(verdict) == state)
        if let absence { #expect(verdict == .absent(absence)) }
        guard case .present(let sighting) = verdict else { return }
        #expect(sighting.isChecked == (health != .none))
    }

    @Test func whatAHealthCheckHasComeToIsSeenBeforeItIsListed() throws {
        var rules = try rules()
        rules.listed([try Engine.redis(health: .starting)], now: .zero)
        func told(_ health: ContainerHealth?, by id: String = Engine.redisID) {
            rules.happened(ContainerEvent(action: "health_status", container: id, health: health), now: .zero)
        }
        told(.healthy, by: Engine.otherID)
        #expect(rules.verdict == .absent(.unchecked))
        told(.healthy)
        #expect(rules.state == .up)
        told(nil)
        #expect(rules.state == .up, "a word that is not known says nothing")
        told(.unhealthy)
        #expect(rules.state == .draining)
        rules.listed([try Engine.redis(health: .healthy)], now: .zero)
        #expect(rules.state == .up, "the listing is the truth")
    }

    @Test func aHealthyOneThatIsToEndDrains() throws {
        var rules = try rules()
        rules.listed([try Engine.redis(health: .healthy)], now: .zero)
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(
            ContainerEvent(action: "health_status", container: Engine.redisID, health: .healthy), now: .seconds(1))
        #expect(rules.state == .draining)
    }

    // MARK: Networks

    @Test func theContainersOwnAddressNeedsNoPublishing() throws {
        func verdict(_ networks: [String: [String]], _ ports: [ContainerPort] = []) throws -> ContainerVerdict {
            var rules = try OneContainer(network: "back")
            let addresses = networks.mapValues { $0.compactMap { IPAddress($0) } }
            let container = Container(
                id: Engine.redisID, names: ["redis"], state: .running, ports: ports, networks: addresses)
            rules.listed([container], now: .zero)
            return rules.verdict
        }
        guard case .present(let sighting) = try verdict(["back": ["fd00::7", "172.30.0.7"], "front": ["10.1.1.1"]])
        else {
            Issue.record("not found")
            return
        }
        #expect(sighting.bindings == [try Engine.binding("172.30.0.7:6379"), try Engine.binding("[fd00::7]:6379")])
        #expect(sighting.isOwnAddress)
        let published = [ContainerPort(6379, binding: try Engine.binding("10.77.0.1:1"))]
        for networks in [["front": ["10.1.1.1"]], ["back": []]] as [[String: [String]]] {
            #expect(try verdict(networks, published) == .absent(.notOnNetwork("back")))
        }
    }

    // MARK: Whatever happens

    /// Events only hasten: after a listing all is as if nothing had been told, but for signals, which are forgotten in time.
    @Test(arguments: 1...50)
    func aListingIsTheTruthWhateverWasTold(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let words = [
            "create", "start", "kill", "die", "died", "stop", "pause", "unpause", "health_status", "rename", "destroy",
            "remove", "restart", "oom",
        ]
        let states: [ContainerState] = [.created, .running, .paused, .restarting, .exited, .running]
        let ids = (0..<4).map { String(repeating: "\($0)", count: 64) }
        func listing() -> [Container] {
            ids.filter { _ in Bool.random(using: &random) }.map { id in
                Container(
                    id: id, names: [id], state: states.randomElement(using: &random) ?? .running,
                    health: ContainerHealth.allCases.randomElement(using: &random) ?? .none)
            }
        }
        var lives = ContainerLives()
        for second in 0..<60 {
            if second % 7 == 3 { lives.listed(listing(), now: .seconds(second)) }
            if second % 20 == 19 { lives.lost() }
            let event = ContainerEvent(
                action: words.randomElement(using: &random) ?? "die",
                container: ids.randomElement(using: &random) ?? "",
                signal: [15, 9, 1, nil].randomElement(using: &random) ?? nil,
                health: ContainerHealth.allCases.randomElement(using: &random))
            lives.happened(event, now: .seconds(second))
        }
        let (last, end) = (listing(), Duration.seconds(60) + ContainerLives.patience)
        lives.listed(last, now: end)
        var fresh = ContainerLives()
        fresh.listed(last, now: end)
        for container in last { #expect(lives.condition(of: container) == fresh.condition(of: container)) }
        #expect(lives.deadline == nil && lives.containers == fresh.containers)
    }
}
