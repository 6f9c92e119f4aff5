// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Logging
import ServiceModel
import Synchronization
import TestSupport
import Testing

private func target(_ text: String) throws -> ForwardTarget { try #require(ForwardTarget(text)) }

private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

extension EndpointSnapshot {
    fileprivate var endpoints: [String] { instances.map(\.address.description) }
}

@Suite struct ForwardTargetsTests {
    @Test func keepsTheOrderOfTheTargets() throws {
        var targets = ForwardTargets([try target("b.lan:2"), try target("10.0.0.1:1"), try target("a.lan:3")])
        #expect(targets.names == ["b.lan", "a.lan"])
        #expect(!targets.isFirstLiteral)
        #expect(targets.lacksAnswer)
        let result1 = targets.snapshot { _ in true }
        #expect(result1?.endpoints == ["10.0.0.1:1"])
        _ = targets.answered("a.lan", .addresses([try address("10.0.0.3")]))
        _ = targets.answered("b.lan", .addresses([try address("10.0.0.2"), try address("10.0.0.4")]))
        let snapshot = targets.snapshot { _ in true }
        #expect(snapshot?.endpoints == ["10.0.0.2:2", "10.0.0.4:2", "10.0.0.1:1", "10.0.0.3:3"])
        #expect(snapshot?.sequence == 2)
        #expect(!targets.lacksAnswer)
        let result2 = targets.snapshot { _ in true }
        #expect(result2 == nil)
    }

    @Test func keepsTheLastGoodAnswer() throws {
        var targets = ForwardTargets([try target("a.lan:1")])
        let change1 = targets.answered("a.lan", .failure("no"))
        #expect(change1 == .failed("no"))
        let change2 = targets.answered("a.lan", .failure("no"))
        #expect(change2 == .none)
        #expect(
            targets.answered("a.lan", .addresses([try address("10.0.0.1")])) == .resolved([try address("10.0.0.1")]))
        let result3 = targets.snapshot { _ in true }
        #expect(result3?.endpoints == ["10.0.0.1:1"])
        let change3 = targets.answered("a.lan", .failure("gone"))
        #expect(change3 == .failed("gone"))
        let result4 = targets.snapshot { _ in true }
        #expect(result4 == nil)
        #expect(
            targets.answered("a.lan", .addresses([try address("10.0.0.1")])) == .resolved([try address("10.0.0.1")]))
    }

    @Test func ignoresAnAnswerThatOnlyTurnedItsList() throws {
        var targets = ForwardTargets([try target("a.lan:1")])
        let (one, two) = (try address("10.0.0.1"), try address("10.0.0.2"))
        _ = targets.answered("a.lan", .addresses([one, two]))
        _ = targets.snapshot { _ in true }
        let change4 = targets.answered("a.lan", .addresses([two, one]))
        #expect(change4 == .none)
        let result5 = targets.snapshot { _ in true }
        #expect(result5 == nil)
    }

    @Test func asksNobodyForTheNameOfASocket() throws {
        var targets = ForwardTargets([try target("unix:/run/a.sock"), try target("a.lan:1")])
        #expect(targets.names == ["a.lan"])
        #expect(targets.isFirstLiteral)
        let first = targets.snapshot { _ in true }
        #expect(first?.endpoints == ["unix:/run/a.sock"])
        _ = targets.answered("a.lan", .addresses([try address("10.0.0.1")]))
        let second = targets.snapshot { _ in true }
        #expect(second?.endpoints == ["unix:/run/a.sock", "10.0.0.1:1"])
    }

    @Test func leavesOwnListenersOut() throws {
        var targets = ForwardTargets([try target("10.0.0.1:1"), try target("10.0.0.2:1")])
        let own = try #require(InstanceAddress("10.0.0.1:1"))
        let result6 = targets.snapshot(isOwn: { $0 == own }, isReleased: { _ in true })
        #expect(result6?.endpoints == ["10.0.0.2:1"])
        #expect(targets.loops == [own])
    }

    @Test func usesASlotAgainOnlyWhenItIsReleased() throws {
        var slots = InstanceSlots()
        let (one, two, three) = (
            try #require(InstanceAddress("10.0.0.1:1")), try #require(InstanceAddress("10.0.0.2:1")),
            try #require(InstanceAddress("unix:/run/three.sock"))
        )
        let first = slots.id(of: one)
        let result7 = slots.id(of: one)
        #expect(result7 == first)
        slots.keep([], isReleased: { _ in false })
        let second = slots.id(of: two)
        #expect(second.slot != first.slot)
        slots.keep([two], isReleased: { _ in true })
        let result8 = slots.id(of: three)
        #expect(result8 == InstanceID(slot: first.slot, generation: first.generation + 1))
    }
}

@Suite struct TargetResolverTests {
    /// Answers that a test changes.
    private final class Names: Sendable {
        private let answers: Mutex<[String: NameLookup.Answer]>
        private let counted = Mutex(0)

        init(_ answers: [String: NameLookup.Answer]) { self.answers = Mutex(answers) }

        var lookups: Int { counted.withLock { $0 } }

        func set(_ name: String, _ answer: NameLookup.Answer) { answers.withLock { $0[name] = answer } }

        func resolve(_ name: String) -> NameLookup.Answer {
            counted.withLock { $0 += 1 }
            return answers.withLock { $0[name] } ?? .failure("unknown")
        }
    }

    private func resolver(_ targets: [String], _ names: Names, _ clock: any Clock<Duration>) throws -> TargetResolver {
        TargetResolver(
            targets: try targets.map(target), lookup: NameLookup { names.resolve($0) }, isOwn: { _ in false },
            isReleased: { _ in true }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, clock: clock)
    }

    /// Runs the resolver while `body` looks at what it gives out.
    private func running(
        _ resolver: TargetResolver, _ body: () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await resolver.run() }
            try await body()
            group.cancelAll()
        }
    }

    /// The stream's iterators share what it holds.
    private func next(_ resolver: TargetResolver) async -> EndpointSnapshot? {
        for await snapshot in resolver.snapshots { return snapshot }
        return nil
    }

    @Test(.timeLimit(.minutes(1))) func givesLiteralsOutAtOnce() async throws {
        let resolver = try resolver(["10.0.0.1:1"], Names([:]), ContinuousClock())
        try await running(resolver) {
            #expect(await next(resolver)?.endpoints == ["10.0.0.1:1"])
        }
    }

    @Test(.timeLimit(.minutes(1))) func looksUpAgainWhenAConnectFailed() async throws {
        let names = Names(["a.lan": .addresses([try address("10.0.0.1")])])
        let resolver = try resolver(["a.lan:1"], names, ContinuousClock())
        let second = try address("10.0.0.2")
        try await running(resolver) {
            #expect(await next(resolver)?.endpoints == ["10.0.0.1:1"])
            names.set("a.lan", .addresses([second]))
            // Each failed connect asks; one comes when the minimum between two lookups is over.
            let start = ContinuousClock.now
            let asking = Task {
                while !Task.isCancelled {
                    resolver.connectFailed()
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
            #expect(await next(resolver)?.endpoints == ["10.0.0.2:1"])
            asking.cancel()
            // Without the failure it would have been 30 s.
            #expect(ContinuousClock.now - start < .seconds(20))
        }
    }

    @Test(.timeLimit(.minutes(1))) func asksAgainSoonForANameThatHasNoAnswerYet() async throws {
        let names = Names([:])
        let resolver = try resolver(["a.lan:1", "10.0.0.9:1"], names, ContinuousClock())
        let first = try address("10.0.0.1")
        try await running(resolver) {
            #expect(await next(resolver)?.endpoints == ["10.0.0.9:1"])
            names.set("a.lan", .addresses([first]))
            #expect(await next(resolver)?.endpoints == ["10.0.0.1:1", "10.0.0.9:1"])
            #expect(names.lookups >= 2)
        }
    }

    @Test(.timeLimit(.minutes(1))) func asksTheSystemForLocalhost() {
        guard case .addresses(let addresses) = NameLookup.askSystem("localhost") else {
            Issue.record("localhost has no address")
            return
        }
        #expect(addresses.contains(.loopbackV4) || addresses.contains(.loopbackV6))
    }

    @Test func saysWhyANameHasNoAddress() {
        guard case .failure(let reason) = NameLookup.askSystem("-.invalid") else {
            Issue.record("-.invalid has an address")
            return
        }
        #expect(!reason.isEmpty)
    }
}
