// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import Testing

@testable import Relay

@Suite struct DrainDeadlinesTests {
    private let link = RelayTarget.link(Link.ID(0))
    private func instance(_ slot: UInt32) -> RelayTarget { .instance(InstanceID(slot: slot, generation: 1)) }

    @Test func thoseThatHaveComeAreTakenOnce() {
        var deadlines = DrainDeadlines()
        #expect(deadlines.earliest == .max && deadlines.takePassed(by: .max).isEmpty)
        deadlines.set(30, of: link)
        deadlines.set(10, of: instance(1))
        deadlines.set(10, of: instance(2))
        deadlines.set(20, of: instance(3))
        #expect(deadlines.earliest == 10)
        #expect(deadlines.takePassed(by: 9).isEmpty)
        #expect(deadlines.takePassed(by: 20) == [instance(1), instance(2), instance(3)])
        #expect(deadlines.earliest == 30)
        #expect(deadlines.takePassed(by: 30) == [link])
        #expect(deadlines.earliest == .max)
    }

    @Test func theLastWordCounts() {
        var deadlines = DrainDeadlines()
        deadlines.set(10, of: link)
        deadlines.set(40, of: link)
        deadlines.set(10, of: instance(1))
        deadlines.set(nil, of: instance(1))
        // A bell for what was taken back rings for nobody, and not again.
        #expect(deadlines.takePassed(by: 10).isEmpty)
        #expect(deadlines.earliest == 40)
        deadlines.set(nil, of: link)
        #expect(deadlines.earliest == .max)
    }
}
