// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel
import Testing

@testable import Registration

@Suite struct EngineOutageTests {
    @Test func lastsTwoMinutesWhileThePortAccepts() {
        var outage = EngineOutage(since: .seconds(10))
        #expect(outage.nextProbe == .seconds(10) && outage.deadline == .seconds(130))
        for second in stride(from: 10, to: 130, by: 5) {
            outage.probed(true, now: .seconds(second))
            #expect(outage.nextProbe == .seconds(second + 5))
        }
        #expect(outage.end(now: .seconds(130) - .nanoseconds(1)) == nil)
        #expect(outage.end(now: .seconds(130)) == .tooLong)
    }

    @Test(
        arguments: [
            ([false], nil), ([false, false], .refused), ([false, true, false], nil), ([true, false, true, false], nil),
            ([true, false, false], .refused),
        ] as [([Bool], EngineOutage.End?)])
    func endsAtTheSecondRefusalInARow(_ answers: [Bool], _ end: EngineOutage.End?) {
        var outage = EngineOutage(since: .zero)
        for answer in answers { outage.probed(answer, now: .zero) }
        #expect(outage.end(now: .zero) == end)
    }
}

@Suite struct ContainerSituationTests {
    private let away = ContainerUpdate.lost(DockerError(.unreachable, "no answer"))

    /// Published, with the engine away since then.
    private func situation() throws -> ContainerSituation {
        let surroundings = NodeIdentity.Surroundings(node: nil, hostName: nil, isContainer: false, bootID: "b")
        var situation = ContainerSituation(ContainerSelector(name: "redis", port: 6379), surroundings)
        situation.updated(.listing([try Engine.redis()]), now: .zero)
        situation.published = Endpoint("10.77.0.1:32768")
        situation.updated(away, now: .zero)
        return situation
    }

    private func isPresent(_ situation: ContainerSituation, now: Duration) -> Bool {
        var situation = situation
        guard case .present = situation.view(now: now).verdict else { return false }
        return true
    }

    @Test func aLossIsCountedFromItsBeginning() throws {
        var situation = try situation()
        situation.updated(away, now: .seconds(60))
        #expect(situation.deadline(now: .seconds(60)) == .seconds(120))
        #expect(!isPresent(situation, now: .seconds(120)))
    }

    /// An answer that comes when the question is no longer the same says nothing.
    @Test func aLateAnswerIsNone() throws {
        var situation = try situation()
        let probe = try #require(situation.nextProbe)
        situation.updated(.listing([try Engine.redis()]), now: .seconds(1))
        #expect(situation.nextProbe == nil)
        situation.updated(away, now: .seconds(2))
        situation.probed(probe, false, now: .seconds(2))
        situation.probed(try #require(situation.nextProbe), false, now: .seconds(3))
        #expect(isPresent(situation, now: .seconds(3)))
        let other = try #require(situation.nextProbe)
        situation.published = Endpoint("10.77.0.1:32769")
        situation.probed(other, false, now: .seconds(4))
        #expect(isPresent(situation, now: .seconds(4)))
        situation.probed(try #require(situation.nextProbe), false, now: .seconds(5))
        #expect(!isPresent(situation, now: .seconds(5)))
    }
}
