// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Logging
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// An engine that is away is not one without containers. The clock stands still but where it says so.
@Suite(.timeLimit(.minutes(1))) struct EngineAwayTests {
    private let first = "10.77.0.1:32768"
    private let second = "10.77.0.1:32769"

    /// Published, and then the engine is lost.
    private func lost(
        _ harness: ContainerHarness, _ container: Container? = nil, accepts: Bool = true,
        _ body: () async throws -> Void
    ) async throws {
        try await harness.running {
            harness.list(try container ?? Engine.redis())
            try await harness.until(first)
            await harness.idle()
            harness.prober.forget()
            harness.prober.answer(accepts)
            harness.lose()
            harness.lose()
            try await harness.untilSaid("container engine cannot be reached")
            try await body()
        }
    }

    /// Waits until the next probe is waited for. Of three sleepers, with the limit's and the upkeep's, which may have
    /// 5 s left just as well.
    private func untilBetweenProbes(_ harness: ContainerHarness) async {
        await harness.clock.untilSleeping { $0.count >= 3 && $0.contains(.seconds(5)) }
    }

    /// So many probes more, 5 s apart.
    private func probes(_ harness: ContainerHarness, _ count: Int) async throws {
        for _ in 0..<count {
            let asked = harness.prober.asked.count
            await untilBetweenProbes(harness)
            harness.clock.advance(by: .seconds(5))
            try await eventually { harness.prober.asked.count > asked }
        }
    }

    @Test func whatAcceptsConnectionsStaysForTwoMinutes() async throws {
        let harness = try ContainerHarness()
        try await lost(harness) {
            try await eventually { harness.prober.asked.count == 1 }
            try await probes(harness, 23)
            await untilBetweenProbes(harness)
            #expect(try await harness.states() == ["up"])
            #expect(Set(harness.prober.asked.map(\.description)) == [first])
            harness.clock.advance(by: .seconds(5))
            try await harness.until(first, .draining)
            let line = try #require(harness.log.lines("container gone").first)
            #expect(line.text("why") == "the container engine has not answered for 120 s")
            await harness.advance(by: ContainerHarness.drainTime)
            try await harness.untilGone()
            await harness.idle()
            #expect(harness.prober.asked.count <= 25, "nothing is left to be asked")
            #expect(harness.log.count(of: "container engine cannot be reached") == 1)
            // Until a listing comes.
            harness.list(try Engine.redis())
            try await harness.until(first)
            try await harness.untilSaid("container engine answers again")
            #expect(harness.log.lines("container engine cannot be reached").first?.level == .warning)
        }
    }

    @Test func whatRefusesTwiceGoes() async throws {
        let harness = try ContainerHarness()
        try await lost(harness, accepts: false) {
            try await eventually { harness.prober.asked.count == 1 }
            await untilBetweenProbes(harness)
            #expect(try await harness.states() == ["up"], "once is not enough")
            try await probes(harness, 1)
            try await harness.until(first, .draining)
            let line = try #require(harness.log.lines("container gone").first)
            #expect(line.text("why") == "the container engine does not answer, nor does the published port")
        }
    }

    @Test func aRefusalInBetweenIsForgiven() async throws {
        let harness = try ContainerHarness()
        try await lost(harness) {
            try await eventually { harness.prober.asked.count == 1 }
            for accepts in [false, true, false, true, false] {
                await untilBetweenProbes(harness)
                harness.prober.answer(accepts)
                try await probes(harness, 1)
            }
            await untilBetweenProbes(harness)
            #expect(try await harness.states() == ["up"])
        }
    }

    @Test func anEngineThatIsBackIsBelieved() async throws {
        let harness = try ContainerHarness()
        try await lost(harness) {
            try await eventually { harness.prober.asked.count == 1 }
            await untilBetweenProbes(harness)
            harness.list(try Engine.redis(at: [second]))
            try await harness.until(second)
            try await harness.untilSaid("container engine answers again")
            await harness.idle()
            harness.prober.answer(false)
            harness.clock.advance(by: .seconds(30))
            await harness.idle()
            // The new address was asked before it was published.
            #expect(harness.prober.asked.count == 2 && harness.log.count(of: "container gone") == 0)
            harness.list()
            try await harness.until(second, .draining)
        }
    }

    /// Nobody can ask a port of UDP: it stays its two minutes.
    @Test func whatCannotBeAskedStays() async throws {
        let harness = try ContainerHarness(transport: .udp, claim: { $0.instance = "hostA:redis:6379" })
        try await lost(harness, try Engine.redis(.running, at: [first], .udp), accepts: false) {
            await harness.clock.untilSleeping { $0.contains(.seconds(120)) }
            harness.clock.advance(by: .seconds(119))
            await harness.clock.untilSleeping { $0.contains(.seconds(1)) }
            #expect(try await harness.record()?.state == .up && harness.prober.asked.isEmpty)
            harness.clock.advance(by: .seconds(1))
            try await harness.until(first, .draining)
        }
    }

    @Test func anEngineThatIsDownAtStartIsWaitedFor() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.lose()
            try await harness.untilSaid("container engine cannot be reached")
            harness.clock.advance(by: .seconds(120))
            harness.list(try Engine.redis())
            try await harness.until(first)
            #expect(harness.prober.asked.count == 1 && harness.log.count(of: "waiting for the container") == 0)
        }
    }

    /// Who follows the engine no longer knows as little as who cannot reach it.
    @Test func theEndOfTheUpdatesIsALoss() async throws {
        let harness = try ContainerHarness()
        try await harness.running {
            harness.list(try Engine.redis())
            try await harness.until(first)
            harness.prober.forget()
            harness.endUpdates()
            try await harness.untilSaid("container engine cannot be reached")
            try await eventually { harness.prober.asked.count == 1 }
            #expect(try await harness.states() == ["up"])
        }
    }
}
