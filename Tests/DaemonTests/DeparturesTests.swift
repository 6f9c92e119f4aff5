// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import ServiceModel
import Testing

/// `--drain-timeout`: what it may say, and whose time runs.
@Suite struct DeparturesTests {
    private static let start = ContinuousClock.now

    private static func instance(_ slot: UInt32, generation: UInt32 = 1, port: UInt16? = nil) -> Instance {
        Instance(
            id: InstanceID(slot: slot, generation: generation),
            endpoint: Endpoint(.loopbackV4, port: port ?? UInt16(1 + slot)))
    }

    /// Snapshots of slots, one after the other; who has left, and whose 30 s are over.
    private struct Scene {
        var departures = Departures(timeout: .seconds(30))
        var open: Set<UInt32> = [1, 2, 3, 9]
        private var sequence: UInt64 = 0

        init(fallback: Instance? = nil) {
            departures = Departures(timeout: .seconds(30), fallback: fallback?.endpoint)
        }

        mutating func follow(
            _ instances: [Instance], at seconds: Int, left: [UInt32] = [],
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            sequence += 1
            let snapshot = EndpointSnapshot(sequence: sequence, instances: instances)
            let found = departures.follow(snapshot, now: start + .seconds(seconds)) { open.contains($0.slot) }
            #expect(found.map(\.id.slot).sorted() == left, sourceLocation: sourceLocation)
        }

        mutating func follow(
            _ slots: [UInt32], at seconds: Int, left: [UInt32] = [], sourceLocation: SourceLocation = #_sourceLocation
        ) {
            follow(slots.map { instance($0) }, at: seconds, left: left, sourceLocation: sourceLocation)
        }

        mutating func pass(
            to seconds: Int, ends: [UInt32] = [], sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let passed = departures.takePassed(by: start + .seconds(seconds))
            #expect(passed.map(\.id.slot).sorted() == ends, sourceLocation: sourceLocation)
        }
    }

    @Test func whoIsMissingHasLeftOnceAndEndsOnce() {
        var scene = Scene()
        scene.follow([1, 2, 3], at: 0)
        scene.follow([2], at: 1, left: [1, 3])
        scene.follow([2, 4], at: 2)
        scene.pass(to: 30)
        scene.pass(to: 31, ends: [1, 3])
        scene.follow([2, 4], at: 32)
        scene.pass(to: 100)
    }

    @Test func whoIsBackInTimeIsNotEnded() {
        var scene = Scene()
        scene.follow([1, 2], at: 0)
        scene.follow([2], at: 1, left: [1])
        scene.follow([1, 2], at: 30)
        scene.pass(to: 31)
        scene.follow([2], at: 40, left: [1])
        scene.pass(to: 69)
        scene.pass(to: 70, ends: [1])
    }

    /// Ten registrators that are cut off take their instances out one by one: the clocks of the first stop with the last.
    @Test func whereNobodyIsNoClockRuns() {
        var scene = Scene()
        scene.follow([1, 2, 3], at: 0)
        scene.follow([2, 3], at: 1, left: [1])
        scene.follow([3], at: 2, left: [2])
        scene.follow([UInt32](), at: 3)
        scene.pass(to: 1000)
        scene.follow([3], at: 1000, left: [1, 2])
        scene.follow([2, 3], at: 1001)
        scene.pass(to: 1030, ends: [1])
    }

    @Test func whoTakesOverWhenNobodyIsLeftIsNobodyAndLeavesLater() {
        var scene = Scene(fallback: Self.instance(9))
        scene.follow([1, 2], at: 0)
        scene.follow([9], at: 1)
        scene.pass(to: 100)
        scene.follow([2], at: 100, left: [1, 9])
        scene.pass(to: 130, ends: [1, 9])
    }

    @Test func clocksBeginAnewWhenNothingIsHeard() {
        var scene = Scene()
        scene.follow([1, 2], at: 0)
        scene.follow([2], at: 1, left: [1])
        for second in 2...100 {
            scene.departures.hearNothing(now: Self.start + .seconds(second))
            scene.pass(to: second)
        }
        scene.pass(to: 129)
        scene.pass(to: 130, ends: [1])
    }

    /// A registrator with another node's name, or a slot's next tenant.
    @Test func whoHasTheSameAddressHasNotLeft() {
        var scene = Scene()
        scene.follow([Self.instance(1, port: 80), Self.instance(2)], at: 0)
        scene.follow([Self.instance(1, generation: 2, port: 80), Self.instance(2)], at: 1)
        scene.follow([Self.instance(3, port: 80), Self.instance(2)], at: 2)
        scene.pass(to: 100)
        scene.follow([2], at: 100, left: [1, 1, 3])
        scene.pass(to: 130, ends: [1, 1, 3])
        scene.follow([Self.instance(1, port: 80), Self.instance(2)], at: 140)
        scene.open = []
        scene.follow([Self.instance(3, port: 80), Self.instance(2)], at: 141)
        // Nobody is served under the other ID: it is forgotten.
        scene.follow([2], at: 142, left: [3])
    }

    private func timeouts(_ texts: [String]) throws(UsageError) -> [String: DrainTimeout] {
        let flags: [SettingName: [String]] = [.drainTimeout: texts]
        let proxy = try ProxyConfiguration(
            arguments: ["a:1", "b:2"], settings: SettingValues(flags: flags, environment: [:]))
        return Dictionary(uniqueKeysWithValues: proxy.drainTimeouts.map { ($0.key.description, $0.value) })
    }

    @Test func isSaidForAllOrForOne() throws {
        #expect(try timeouts([]) == [:])
        #expect(try timeouts(["30s", "b=never"]) == ["a": .after(.seconds(30)), "b": .never])
        #expect(try timeouts(["a=0s", "b=24h"]) == ["a": .after(.zero), "b": .after(.seconds(86_400))])
        for text in ["", "soon", "-1s", "25h", "c=1s", "a=", "Never"] {
            #expect(throws: UsageError.self, "\(text)") { try timeouts([text]) }
        }
    }
}
