// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// `register CONTAINER PORT SERVICE` follows what a real engine does to a container.
@Suite(.tags(.integration), .untilHung)
struct LabContainerTests {
    @Test func publishesWhereTheContainerIsReached() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let redis = try await host.redis("redis-demo.service")
            let process = try await host.register("redis-demo.service", ["weight=7", "version=7.0"])
            let key = host.key(of: "redis-demo.service")
            try await lab.awaits(key, at: redis)
            let found = try #require(try await lab.key(key))
            #expect(found.json["node"] as? String == "hostA" && found.json["weight"] as? Int == 7)
            #expect(found.json["container"] as? String == "redis-demo.service")
            #expect(found.json["proto"] as? String == "tcp")
            #expect((found.json["meta"] as? [String: Any])?["version"] as? String == "7.0")
            try process.terminate()
            #expect(try await process.end() == .code(0))
            #expect(try await lab.keys("/services").isEmpty)
        }
    }

    @Test func waitsForAContainerThatIsNotThereAndSaysSoOnce() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let process = try await host.register("late")
            try await process.firstLine(containing: "waiting for the container", "container=late")
            try await host.docker("create", "--name", "late", "-p", "\(host.address)::6379", "redis:local")
            #expect(try await lab.keys("/services/").isEmpty, "a container that does not run is none")
            try await host.docker("start", "late")
            let started = ContinuousClock.now
            let redis = try await host.published("late", 6379)
            try await eventually("key after docker start", within: .seconds(1), since: started) {
                try await lab.key(host.key(of: "late"))?.endpoint == redis
            }
            #expect(process.lines(containing: "waiting for the container").count == 1, "\(process.lastLines())")
            // One that waits has nothing to take back.
            let idle = try await host.register("never")
            try await idle.firstLine(containing: "waiting for the container")
            let asked = ContinuousClock.now
            try idle.terminate()
            #expect(try await idle.end() == .code(0))
            report(.now - asked, "end of a registrator that waits", promise: .seconds(1))
        }
    }

    @Test(.row("R4")) func aRestartWithAnotherPortMovesTheValueAndDrainsTheOldAddress() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let before = try await host.redis("redis")
            _ = try await host.register("redis")
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: before)
            let proxy = try await host.proxy()
            let firstID = try await host.runID(at: before)
            #expect(try await host.runID(at: proxy.endpoint) == firstID)
            try await lab.withChanges("/services/") { changes in
                let after = try await Self.restartOnAnotherPort("redis", of: host, not: before)
                let moved = try await changes.first("the new address") {
                    $0.key.endpoint == after && $0.key.state == "up"
                }
                #expect(changes.all.first { !$0.isDelete }?.key.state == "draining")
                #expect(changes.all.first { !$0.isDelete }?.key.endpoint == before, "the old address drains first")
                #expect(!changes.all.contains { $0.at > moved.at && $0.key.endpoint == before })
                let secondID = try await host.runID(at: after)
                #expect(secondID != firstID)
                try await eventually("traffic at the new port", within: .seconds(1), since: moved.at) {
                    try await host.runID(at: proxy.endpoint) == secondID
                }
            }
            let shown = [key: try await host.published("redis", 6379)]
            try await waitFor("the registry to be what docker shows") { try await lab.isEqual(shown, count: 1) }
        }
    }

    @Test func aPausedContainerDrainsAndAnUnpausedOneIsUp() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let redis = try await host.redis("redis")
            _ = try await host.register("redis")
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: redis)
            for (verb, state) in [("pause", "draining"), ("unpause", "up"), ("pause", "draining")] {
                try await host.docker(verb, "redis")
                let done = ContinuousClock.now
                try await eventually("\(state) after docker \(verb)", within: .seconds(1), since: done) {
                    let found = try await lab.key(key)
                    return found?.state == state && found?.endpoint == redis
                }
            }
        }
    }

    @Test(arguments: [["kill"], ["rm", "-f"], ["stop", "-t", "5"]])
    func anEndedContainerDrainsAtOnceAndGoes(words: [String]) async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let (one, two) = (try await host.redis("one"), try await host.redis("two"))
            let (first, second) = (try await host.register("one"), try await host.register("two"))
            try await lab.awaits(host.key(of: "one"), at: one)
            try await lab.awaits(host.key(of: "two"), at: two)
            let proxy = try await host.proxy()
            let survivor = try await host.runID(at: two)
            try await lab.withChanges("/services/") { changes in
                let asked = ContinuousClock.now
                try await host.docker(words + ["one"])
                let draining = try await changes.first("draining") { $0.key.state == "draining" }
                #expect(draining.key.key == host.key(of: "one"))
                report(draining.at - asked, "draining after docker \(words[0])", promise: .milliseconds(300))
                let gone = try await changes.deletion(of: host.key(of: "one"))
                report(gone.at - asked, "key gone after docker \(words[0])", promise: .seconds(2))
                #expect(gone.at - draining.at < .seconds(6))
                for _ in 0..<20 { #expect(try await host.runID(at: proxy.endpoint) == survivor) }
                #expect(!changes.all.contains { $0.key.key == host.key(of: "two") }, "nothing happened to the other")
            }
            // It waits for the container to come back.
            #expect(first.exitStatus == nil && second.exitStatus == nil)
        }
    }

    @Test(.row("R10")) func aSignalThatEndsNothingDrainsNothing() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let redis = try await host.redis("redis")
            _ = try await host.register("redis")
            try await lab.awaits(host.key(of: "redis"), at: redis)
            try await lab.withChanges("/services/") { changes in
                try await host.docker("kill", "-s", "USR1", "redis")
                // Something that is told later by the same stream of events shows that the first has been heard.
                try await host.docker("pause", "redis")
                let first = try await changes.first("a change") { _ in true }
                #expect(first.key.state == "draining")
                try await host.docker("unpause", "redis")
                try await lab.awaits(host.key(of: "redis"), at: redis)
                // The changes come by a connection of their own.
                _ = try await changes.first("up again") { $0.key.state == "up" }
                #expect(changes.all.map(\.key.state) == ["draining", "up"])
            }
            let shown = [host.key(of: "redis"): try await host.published("redis", 6379)]
            #expect(try await lab.isEqual(shown, count: 1))
        }
    }

    @Test func theSameNameOnTwoHostsIsTwoInstances() async throws {
        try await withLab(["hostA", "hostB"]) { lab in
            var ids: Set<String> = []
            for host in [lab["hostA"], lab["hostB"]] {
                let redis = try await host.redis("redis")
                _ = try await host.register("redis")
                try await lab.awaits(host.key(of: "redis"), at: redis)
                ids.insert(try await host.runID(at: redis))
            }
            let host = lab["hostB"]
            let proxy = try await host.proxy()
            #expect(ids.count == 2)
            try await waitFor("both serve") {
                try await ids == [host.runID(at: proxy.endpoint), host.runID(at: proxy.endpoint)]
            }
        }
    }

    @Test(.row("R1", "S11")) func asksTheEngineForNothingButItsListAndEvents() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let recorder = try RequestRecorder(
                at: lab.stage.directory() + "/recorder.sock", before: host.dockerSocket)
            defer { recorder.close() }
            let redis = try await host.redis("redis")
            let process = try await host.register("redis", socket: recorder.path)
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: redis)
            try await host.docker("pause", "redis")
            try await lab.awaits(key, at: redis, state: "draining")
            // The stream of events breaks; what happens meanwhile is seen all the same.
            recorder.cut()
            try await process.firstLine(containing: "container engine cannot be reached")
            try await host.docker("unpause", "redis")
            recorder.restore()
            try await eventually("up once the container engine answers again", within: .seconds(6)) {
                try await lab.key(key)?.state == "up"
            }
            try await host.docker("rm", "-f", "redis")
            try await waitFor("the key to go") { try await lab.key(key) == nil }
            let isAllowed = try AllowList.documented()
            #expect(recorder.requests.count >= 6, "\(recorder.requests)")
            for request in recorder.requests { #expect(isAllowed(request), "\(request)") }
        }
    }

    /// An engine gives a port that it chose again to the next who asks, so somebody takes it meanwhile.
    private static func restartOnAnotherPort(
        _ container: String, of host: LabHost, not before: Endpoint
    ) async throws -> Endpoint {
        for _ in 0..<5 {
            try await host.docker("restart", "-t", "1", container)
            let after = try await host.published(container, 6379)
            if after != before { return after }
        }
        throw MissingPart("the engine gives the same port again and again")
    }
}
