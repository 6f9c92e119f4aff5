// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Docker
import FoundationEssentials
import ServiceModel
import TestSupport
import Testing

/// What real engines said: Scripts/record-docker.
@Suite struct RecordedEngineTests {
    /// Of Debian 12 (API 1.41) and 13 (1.45).
    private static let engines = ["engine-20.10.24", "engine-26.1.5"]
    private static let podman = "podman-4.3.1"

    private static func containers(_ engine: String) throws -> [String: Container] {
        let list = try EngineJSON.containers(try Fixture.bytes("\(engine)-containers.json"))
        return Dictionary(uniqueKeysWithValues: list.map { ($0.names.first ?? $0.id, $0) })
    }

    /// What the one container of the recording lived through.
    private static func life(_ engine: String) throws -> (events: [EngineEvent], told: [ContainerEvent]) {
        var splitter = LineSplitter()
        let lines = splitter.lines(in: try Fixture.bytes("\(engine)-events.json"))
        let events = lines.compactMap { EngineJSON.event($0) }
        let told = events.compactMap { event -> ContainerEvent? in
            guard case .container(let one) = event else { return nil }
            return one
        }
        return (events, told)
    }

    @Test(.row("R6"), arguments: engines) func readsTheListOfARealEngine(_ engine: String) throws {
        let found = try Self.containers(engine)
        #expect(
            Set(found.keys) == ["everywhere", "one-address", "inner", "labelled", "paused", "ended", "created"])
        let states = found.mapValues(\.state)
        #expect(states["everywhere"] == .running && states["paused"] == .paused && states["ended"] == .exited)
        #expect(states["created"] == .created)
        #expect(found.values.allSatisfy { $0.id.count == 64 })
        #expect(found.values.allSatisfy { $0.image == "redis:local" && !$0.usesHostNetwork && $0.health == .none })
    }

    @Test(.row("R6"), arguments: engines) func readsWhereAPortIsPublished(_ engine: String) throws {
        let found = try Self.containers(engine)
        let everywhere = try #require(found["everywhere"]).ports
        let tcp = everywhere.filter { $0.number == 6379 && $0.transport == .tcp }.compactMap(\.binding)
        #expect(Set(tcp.map(\.address)) == [.unspecifiedV4, .unspecifiedV6])
        #expect(Set(tcp.map(\.port)).count == 1 && tcp[0].port >= 32768)
        let udp = everywhere.filter { $0.transport == .udp }
        #expect(udp.allSatisfy { $0.number == 53 && $0.binding?.port == 5300 } && !udp.isEmpty)
        let one = try #require(found["one-address"]).ports
        #expect(one.count == 1 && one[0].binding?.address == IPAddress("10.77.0.1"))
        #expect(try #require(found["inner"]).ports == [ContainerPort(6379)], "exposed only")
        #expect(try #require(found["ended"]).ports.allSatisfy { $0.binding == nil })
    }

    @Test(.row("R6"), arguments: engines) func readsNamesLabelsAndOwnAddresses(_ engine: String) throws {
        let found = try Self.containers(engine)
        let everywhere = try #require(found["everywhere"])
        #expect(everywhere.names == ["everywhere"], "a link's name for it is not its own")
        #expect(everywhere.labels["legation.address"] == "10.77.0.1")
        let own = try #require(everywhere.networks["bridge"]?.first)
        #expect("\(own)".hasPrefix("172."))
        #expect(try #require(found["inner"]).networks["inner"]?.map(\.description) == ["172.30.0.2"])
        #expect(try #require(found["created"]).networks["bridge"]?.isEmpty == true)
        #expect(everywhere.endpoints.count == 1 && everywhere.endpoints != found["inner"]?.endpoints)
        #expect(found["ended"]?.endpoints == [] && found["created"]?.endpoints == [])
    }

    @Test(.row("R6"), arguments: zip(engines, [["die", "stop"], ["stop", "die"]]))
    func readsTheEventsOfARealEngine(_ engine: String, end: [String]) throws {
        let (events, told) = try Self.life(engine)
        #expect(events.contains(.other), "networks")
        #expect(Set(told.map(\.container)).count == 1)
        let life = told.map { $0.action + ($0.signal.map { " \($0)" } ?? "") }
        #expect(
            life == [
                "create", "start", "kill 10", "pause", "unpause", "rename", "exec_create", "exec_start", "exec_die",
                "kill 15",
            ] + end + ["start", "restart", "kill 9", "die", "destroy"])
        #expect(told.first?.name == "life" && told.last?.name == "afterlife")
    }

    // MARK: Podman

    /// It leaves the address out when that is every one, and lists the ports of who has ended.
    @Test(.row("R7")) func readsTheListOfPodman() throws {
        let found = try Self.containers(Self.podman)
        #expect(Set(found.keys) == ["everywhere", "one-address", "inner", "labelled", "ended", "created"])
        let bindings = found.mapValues { $0.ports.compactMap(\.binding) }
        #expect(bindings["everywhere"]?.map(\.address) == [.unspecifiedV4, .unspecifiedV4])
        #expect(bindings["labelled"]?.map(\.address.description) == ["10.77.0.1"])
        #expect(found["labelled"]?.labels == ["legation.service": "redis-A"])
        #expect(found["ended"]?.state == .exited && bindings["ended"]?.count == 1)
        #expect(found["created"]?.state == .created && found["inner"]?.state == .running)
        #expect(found.values.allSatisfy { $0.endpoints.isEmpty })
        #expect(found["inner"]?.networks["inner"]?.map(\.description) == ["172.30.0.2"])
    }

    /// Signals without their numbers, no word of a stop, and `remove` for `destroy`.
    @Test(.row("R7")) func readsTheEventsOfPodman() throws {
        let (events, told) = try Self.life(Self.podman)
        #expect(events.count == told.count + 1, "a network that was joined")
        #expect(
            told.map(\.action) == [
                "create", "init", "start", "kill", "rename", "exec", "exec_died", "restart", "die", "init", "start",
                "kill", "die", "remove",
            ])
        #expect(told.allSatisfy { $0.signal == nil })
        #expect(Set(told.map(\.container)).count == 1 && told.last?.name == "afterlife")
    }
}
