// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

@testable import Docker
import ServiceModel
import TestSupport
import Testing

/// Engines that are not to be had here: lists and events as the API's published description and its history of changes say
/// them for each version. Not run on an engine.
@Suite(.timeLimit(.minutes(1))) struct DescribedEngineTests {
    /// What `docs/labels.md` calls not run.
    private static let versions = ["1.40", "1.44", "1.47", "1.52"]

    @Test(.row("R6"), arguments: versions) func readsTheListOfEachVersion(_ version: String) throws {
        let list = try EngineJSON.containers(try Fixture.bytes("described-\(version)-containers.json"))
        let redis = try #require(list.first)
        #expect(list.count == 1 && redis.names == ["redis"] && redis.state == .running && redis.health == .healthy)
        #expect(redis.labels == ["legation.service": "redis-A"] && redis.image == "redis:7" && !redis.usesHostNetwork)
        #expect(redis.ports.first?.binding == ContainerPort.Binding(address: .unspecifiedV4, port: 49153))
        #expect(redis.networks["bridge"] == [try #require(IPAddress("172.17.0.2"))])
    }

    @Test(.row("R6"), arguments: versions) func readsTheEventsOfEachVersion(_ version: String) throws {
        var splitter = LineSplitter()
        let lines = splitter.lines(in: try Fixture.bytes("described-\(version)-events.json"))
        let told = lines.compactMap { line -> ContainerEvent? in
            guard case .container(let event) = EngineJSON.event(line) else { return nil }
            return event
        }
        #expect(told.map(\.action) == ["start", "health_status", "kill", "die", "destroy"])
        #expect(told.map(\.signal) == [nil, nil, 15, nil, nil] && told[1].health == .healthy)
        #expect(told.allSatisfy { $0.name == "redis" && $0.container.hasPrefix("3e1c94f7") })
    }

    /// The last is newer than any that we know.
    @Test(.row("R6"), arguments: zip(versions + ["1.41", "1.60"], versions + ["1.41", "1.52"]))
    func asksInTheVersionThatBothKnow(own: String, spoken: String) async throws {
        let list = String(decoding: try Fixture.bytes("described-1.52-containers.json"), as: UTF8.self)
        try await Conversation.with([Conversation.ping(own), Conversation.answer(list), Conversation.answer("[]")]) {
            client, requests in
            let version = try await client.negotiate()
            #expect(try await client.containers(version).map(\.names) == [["redis"]])
            let listing = "GET /v\(spoken)/containers/json?all=1 HTTP/1.1"
            #expect(requests.lines.prefix(2) == ["HEAD /_ping HTTP/1.1", listing])
        }
    }
}
