// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import ServiceModel
import Testing

/// `--drain-timeout`: what it may say, and whose time runs.
@Suite struct DeparturesTests {
    private static let start = ContinuousClock.now

    private static func instance(_ slot: UInt32, generation: UInt32 = 1) -> Instance {
        Instance(
            id: InstanceID(slot: slot, generation: generation), endpoint: Endpoint(.loopbackV4, port: UInt16(1 + slot)))
    }

    /// Snapshots of slots, one after the other, and who is told to have left and to be back.
    private struct Scene {
        var departures = Departures(timeout: .seconds(30))
        var sequence: UInt64 = 0

        mutating func follow(
            _ slots: [UInt32], at seconds: Int, left: [UInt32] = [], back: [UInt32] = [],
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            sequence += 1
            let now = start + .seconds(seconds)
            let snapshot = EndpointSnapshot(sequence: sequence, instances: slots.map { instance($0) })
            let change = departures.follow(snapshot, now: now)
            #expect(change.left.map(\.id.slot).sorted() == left, sourceLocation: sourceLocation)
            #expect(change.back.map(\.slot).sorted() == back, sourceLocation: sourceLocation)
            #expect(change.deadline == now + .seconds(30), sourceLocation: sourceLocation)
        }
    }

    @Test func whoIsMissingHasLeftOnce() {
        var scene = Scene()
        scene.follow([1, 2, 3], at: 0)
        scene.follow([2], at: 1, left: [1, 3])
        scene.follow([2, 4], at: 2)
    }

    @Test func whoIsBackInTimeIsToldOf() {
        var scene = Scene()
        scene.follow([1, 2], at: 0)
        scene.follow([2], at: 1, left: [1])
        scene.follow([1, 2], at: 30, back: [1])
        scene.follow([2], at: 40, left: [1])
        // Its time is over by then: nothing is to be taken back.
        scene.follow([1, 2], at: 70)
    }

    @Test func aSnapshotWithoutAnybodySaysNothing() {
        var scene = Scene()
        scene.follow([1, 2], at: 0)
        scene.follow([], at: 1)
        scene.follow([2], at: 2, left: [1])
    }

    @Test func whoTakesOverWhenNobodyIsLeftIsNobody() {
        let fallback = Self.instance(9)
        var scene = Scene(departures: Departures(timeout: .seconds(30), fallback: fallback.endpoint))
        scene.follow([1, 2], at: 0)
        scene.follow([9], at: 1)
        scene.follow([9, 2], at: 2, left: [1])
    }

    @Test func anotherTenantOfTheSlotIsSomebodyElse() {
        var departures = Departures(timeout: .zero)
        let (old, new) = (Self.instance(1), Self.instance(1, generation: 2))
        _ = departures.follow(EndpointSnapshot(sequence: 1, instances: [old]), now: Self.start)
        let change = departures.follow(EndpointSnapshot(sequence: 2, instances: [new]), now: Self.start)
        #expect(change.left == [old] && change.back.isEmpty)
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
