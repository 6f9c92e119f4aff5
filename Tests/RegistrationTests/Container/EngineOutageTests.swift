// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

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
