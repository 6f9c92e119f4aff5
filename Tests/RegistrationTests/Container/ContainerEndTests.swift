// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import Testing

/// A container's end, and lists that have not heard of it.
@Suite struct ContainerEndTests {
    /// Engines tell of an end before their list shows it.
    @Test(arguments: ["die", "died", "destroy", "remove"])
    func aListThatIsOlderThanTheEndRaisesNobody(_ word: String) throws {
        var rules = try OneContainer()
        rules.listed([try Engine.redis(health: .healthy)], now: .zero)
        rules.happened(Engine.kill(15), now: .zero)
        rules.happened(Engine.event(word), now: .seconds(1))
        for milliseconds in [1150, 1400] {
            rules.listed([try Engine.redis(health: .healthy)], now: .milliseconds(milliseconds))
            #expect(rules.state == nil)
        }
        rules.listed([try Engine.redis(health: .healthy)], now: .seconds(2))
        #expect(rules.state == .up, "the list that confirms an event is believed")
    }

    @Test func whoIsStartedAfterItsEndIsBelievedAtOnce() throws {
        var rules = try OneContainer()
        rules.listed([try Engine.redis()], now: .zero)
        rules.happened(Engine.event("die"), now: .zero)
        rules.happened(Engine.event("start"), now: .milliseconds(50))
        rules.listed([try Engine.redis()], now: .milliseconds(150))
        #expect(rules.state == .up)
        // Nobody tells of a start while the engine is away.
        rules.happened(Engine.event("die"), now: .seconds(5))
        rules.lost()
        rules.listed([try Engine.redis()], now: .milliseconds(5500))
        #expect(rules.state == .up)
    }
}
