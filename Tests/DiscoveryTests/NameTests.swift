// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Synchronization
import TestSupport
import Testing

/// Entries whose host is a name: the instances are what the name stands for, each by itself.
@Suite(.timeLimit(.minutes(1))) struct NameTests {
    private func harness(resolves: Bool = true, policy: TargetPolicy = TargetPolicy()) throws -> TableHarness {
        var source = EntrySource()
        source.resolvesNames = resolves
        return try TableHarness(policy: policy, source: source)
    }

    private func value(_ host: String, port: Int = 6379, more: String = "") -> [UInt8] {
        Array(#"{"host":"\#(host)","port":\#(port)\#(more)}"#.utf8)
    }

    private func addresses(_ numbers: Int...) -> [IPAddress] { numbers.map { TableHarness.endpoint($0).address } }

    private func skipped(_ harness: TableHarness) -> [SkipReason] {
        harness.table.report(now: harness.now).skipped.map(\.reason)
    }

    @Test func aNameIsRefusedUnlessItIsToBeLookedUp() throws {
        var harness = try harness(resolves: false)
        harness.put("a", value("redis.lan"))
        #expect(skipped(harness) == [.name] && harness.table.names.isEmpty)
    }

    @Test func everyAddressIsAnInstance() throws {
        var harness = try harness()
        harness.put("a", value("redis.lan", more: #","weight":7,"priority":2"#))
        #expect(harness.table.names == ["redis.lan"] && skipped(harness) == [.unresolved] && harness.used == [])
        harness.resolve("redis.lan", addresses(2, 1))
        #expect(harness.used == [1, 2] && skipped(harness) == [])
        #expect(harness.instances().allSatisfy { $0.weight == 7 })
        #expect(harness.table.members == 2)
        // What is still there keeps its place in the relay.
        let id = harness.id(of: 1)
        harness.resolve("redis.lan", addresses(3, 1))
        #expect(harness.used == [1, 3] && harness.id(of: 1) == id)
        harness.resolve("other.lan", addresses(9))
        #expect(harness.used == [1, 3])
    }

    /// What was checked is what is dialled: a name opens nothing that an address would not.
    @Test func eachAddressPassesTheSameChecks() throws {
        let own = TableHarness.endpoint(5)
        var harness = try harness()
        harness.act(harness.table.ownEndpointsChanged(to: [own], now: .zero))
        harness.put("a", value("rebound.lan"))
        let hostile = ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fd00:ec2::254", "8.8.8.8"].compactMap {
            IPAddress($0)
        }
        harness.resolve("rebound.lan", hostile + [own.address] + addresses(1))
        #expect(harness.used == [1])
        #expect(
            skipped(harness).map(\.rawValue).sorted() == [
                "forbidden", "forbidden", "forbidden", "loopback", "loopback", "not-allowed", "own-listener",
            ])
        harness.resolve("rebound.lan", hostile)
        #expect(harness.used == [])
    }

    @Test func theKeysEndIsTheEndOfAll() throws {
        var harness = try harness()
        harness.put("a", value("redis.lan"))
        harness.resolve("redis.lan", addresses(1, 2))
        harness.delete("a")
        #expect(harness.used == [] && harness.table.names.isEmpty && harness.table.members == 0)
        // A listing without it says the same, and it counts as one that nobody saw go.
        harness.put("a", value("redis.lan"))
        harness.resolve("redis.lan", addresses(1, 2))
        harness.accepting = [TableHarness.endpoint(1)]
        harness.write([], deleting: ["a"])
        harness.reset()
        harness.answer()
        #expect(harness.used == [1] && harness.names(.held) == ["a"])
    }

    @Test func anAuditFindsNothingMissing() throws {
        var harness = try harness()
        harness.put("a", value("redis.lan"))
        harness.resolve("redis.lan", addresses(1, 2))
        #expect(harness.table.suspects(in: harness.listing).isEmpty)
        harness.reset()
        #expect(harness.used == [1, 2])
        harness.write([], deleting: ["a"])
        let suspects = harness.table.suspects(in: harness.listing)
        harness.act(harness.table.repaired(suspects, by: harness.listing, now: harness.now))
        #expect(harness.table.counters.drift == 1)
    }

    @Test func anotherNameTakesItsPlaceOnceItIsKnown() throws {
        var harness = try harness()
        harness.put("a", value("old.lan"))
        harness.resolve("old.lan", addresses(1))
        harness.put("a", value("typo.lan"))
        #expect(harness.used == [1] && harness.table.names == ["typo.lan"] && skipped(harness) == [.unresolved])
        harness.put("a", value("typo.lan", more: #","weight":7"#))
        #expect(harness.instances().map(\.weight) == [100], "its last valid value as a whole")
        harness.put("a", value("new.lan"))
        #expect(harness.used == [1] && harness.table.names == ["new.lan"])
        harness.resolve("new.lan", addresses(2))
        #expect(harness.used == [2] && skipped(harness) == [])
        harness.put("a", value("10.0.0.3"))
        #expect(harness.used == [3] && harness.table.names.isEmpty, "an address at once")
        harness.put("a", value("new.lan"))
        #expect(harness.used == [3] && skipped(harness) == [.unresolved], "its last answer is forgotten with it")
        harness.resolve("new.lan", addresses(2))
        #expect(harness.used == [2] && skipped(harness) == [] && harness.table.members == 1)
        // What cannot be read leaves the last valid word, also that of a name.
        harness.put("a", Array("{".utf8))
        #expect(harness.used == [2] && skipped(harness) == [.json])
    }

    /// It is told what is to be done with the instance, wherever it may be.
    @Test func aNameThatIsToTakeNoConnectionsIsNotWaitedFor() throws {
        for before in ["old.lan", "10.0.0.1"] {
            var harness = try harness()
            harness.put("a", value(before))
            harness.resolve("old.lan", addresses(1))
            harness.put("a", value("new.lan", more: #","state":"draining""#))
            #expect(harness.used == [])
        }
    }

    @Test func whatIsAwaitedGoesWithItsKey() throws {
        for before in ["old.lan", "10.0.0.1"] {
            var harness = try harness()
            harness.put("a", value(before))
            harness.resolve("old.lan", addresses(1))
            harness.put("a", value("new.lan"))
            harness.delete("a")
            #expect(harness.used == [] && harness.table.names.isEmpty && harness.table.members == 0)
        }
    }

    @Test func drainingAndOverridesAreOfTheWholeKey() throws {
        var harness = try harness()
        harness.put("a", value("redis.lan"))
        harness.resolve("redis.lan", addresses(1, 2))
        let word = OverrideRecord(.draining, by: nil, since: nil, until: nil)
        harness.say(["a": EndpointTable.Override(word, until: nil)])
        #expect(harness.used == [] && harness.names(.draining) == ["a", "a"])
        harness.say([:])
        harness.put("a", value("redis.lan", more: #","state":"draining""#))
        #expect(harness.used == [])
    }

    @Test func whatWasKnownLastStandsUntilItsNameIsKnown() throws {
        var before = try harness()
        before.put("a", value("redis.lan"))
        before.resolve("redis.lan", addresses(1, 2))
        var source = EntrySource()
        source.resolvesNames = true
        var after = try TableHarness(source: source, isListed: false)
        after.restore(before.table.lastGood())
        #expect(after.used == [1, 2])
        after.put("a", value("redis.lan"))
        #expect(after.used == [1, 2] && after.table.names == ["redis.lan"])
        after.resolve("redis.lan", addresses(2, 3))
        #expect(after.used == [2, 3])
        // Whose operator has switched it off uses nothing of it.
        var off = try TableHarness(isListed: false)
        off.restore(before.table.lastGood())
        #expect(off.used == [])
    }

    @Test(arguments: [
        "redis.lan:6379", #"{"Op":0,"Addr":"redis.lan:6379"}"#, #"{"host":"redis.lan","port":6379,"ttl":60}"#,
        #"{"name":"x","endpoints":["grpc://redis.lan:6379?isSecure=false"]}"#,
        #"{"host":"redis.lan","port":6379,"name":"x","labels":{}}"#,
    ])
    func everyFormatMayNameItsHost(text: String) throws {
        var harness = try harness()
        harness.put("a", Array(text.utf8))
        harness.resolve("redis.lan", addresses(4))
        #expect(harness.used == [4])
    }

    /// What no C library may read as a number is still no name.
    @Test(arguments: ["127.1", "0x7f.1", "2130706433", "redis lan", "redis.lan%eth0", ""])
    func badLiteralsAreNeverLookedUp(host: String) throws {
        var harness = try harness()
        harness.put("a", value(host))
        #expect(harness.table.names.isEmpty && skipped(harness) == [.host])
    }

    @Test func namesAreBoundedInNumber() throws {
        var harness = try harness()
        for number in 0...EndpointTable.maximumNames { harness.put("\(number)", value("n\(number).lan")) }
        #expect(harness.table.names.count == EndpointTable.maximumNames)
        #expect(skipped(harness).count { $0 == .tooMany } == 1)
        harness.resolve("n1.lan", (1...200).map { TableHarness.endpoint($0).address })
        #expect(harness.used.count == 64)
    }

    // MARK: When they are looked up

    private func watching(
        _ resolver: ScriptedResolver, _ body: (WatcherHarness, ManualClock) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        var source = EntrySource()
        source.resolvesNames = true
        let service = try #require(ServiceName("redis"))
        let harness = try WatcherHarness(clock: clock, sources: [service: source], resolver: resolver)
        try await harness.put("/services/redis/a", text: #"{"host":"redis.lan","port":6379}"#)
        try await harness.running { try await body(harness, clock) }
    }

    @Test func isLookedUpEvery30SecondsAndKeptWhileThereIsNoAnswer() async throws {
        let resolver = ScriptedResolver(["redis.lan": .addresses(addresses(1))])
        try await watching(resolver) { harness, clock in
            try await eventually { try harness.report().instances.map(\.endpoint) == [TableHarness.endpoint(1)] }
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            resolver.say("redis.lan", .failure("no answer"))
            clock.advance(by: .seconds(30))
            try await eventually { harness.log.count(of: "name cannot be resolved; what is known of it is kept") == 1 }
            #expect(try harness.report().instances.map(\.endpoint) == [TableHarness.endpoint(1)])
            // Soon again, then more seldom.
            for pause in [1, 2, 4] {
                await clock.untilSleeping { $0.contains(.seconds(pause)) }
                clock.advance(by: .seconds(pause))
            }
            try await eventually { resolver.asked == 5 }
            resolver.say("redis.lan", .addresses(self.addresses(2)))
            await clock.untilSleeping { $0.contains(.seconds(8)) }
            clock.advance(by: .seconds(8))
            try await eventually { try harness.report().instances.map(\.endpoint) == [TableHarness.endpoint(2)] }
            #expect(harness.log.count(of: "name cannot be resolved; what is known of it is kept") == 1)
        }
    }

    @Test func isLookedUpWhenAnInstanceDoesNotAcceptButNotAllTheTime() async throws {
        let resolver = ScriptedResolver(["redis.lan": .addresses(addresses(1))])
        resolver.say("other.lan", .addresses(addresses(9)))
        try await watching(resolver) { harness, clock in
            try await eventually { try harness.report().instances.count == 1 }
            await clock.untilSleeping { $0.contains(.seconds(30)) }
            clock.advance(by: .seconds(2))
            resolver.say("redis.lan", .addresses(self.addresses(2)))
            harness.watcher.connectFailed()
            try await eventually { try harness.report().instances.map(\.endpoint) == [TableHarness.endpoint(2)] }
            #expect(resolver.asked == 2)
            // A moment later: another name is looked up, which shows that the failure was looked at, this one is not.
            harness.watcher.connectFailed()
            try await harness.put("/services/redis/b", text: #"{"host":"other.lan","port":6379}"#)
            try await eventually { try harness.report().instances.count == 2 }
            #expect(resolver.asked == 3)
        }
    }
}

/// Says of each name what it is told to.
private final class ScriptedResolver: NameResolver {
    private struct State {
        var answers: [String: NameAnswer]
        var asked = 0
    }

    private let state: Mutex<State>

    init(_ answers: [String: NameAnswer]) { state = Mutex(State(answers: answers)) }

    func say(_ name: String, _ answer: NameAnswer) { state.withLock { $0.answers[name] = answer } }

    var asked: Int { state.withLock { $0.asked } }

    func answer(for name: String) async -> NameAnswer {
        state.withLock { state in
            state.asked += 1
            return state.answers[name] ?? .failure("unknown")
        }
    }
}
