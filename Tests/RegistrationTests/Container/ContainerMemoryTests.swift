// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import TestSupport
import Testing

/// An engine that comes back to containers that have gone on (live-restore) calls those with a health check `starting`
/// until the next check, moby 26 does; one that starts anew is called the same, with other endpoints.
@Suite struct ContainerMemoryTests {
    private static func checked(_ health: ContainerHealth, _ endpoints: Set<String>) -> Container {
        Container(id: "a", names: ["redis"], state: .running, endpoints: endpoints, health: health)
    }

    /// What the second listing makes of it.
    private static func condition(_ before: Container, _ after: Container) throws -> ContainerCondition {
        var lives = ContainerLives()
        lives.listed([before], now: .zero)
        lives.lost()
        lives.listed([after], now: .seconds(2))
        return lives.condition(of: try #require(lives.containers?.first))
    }

    @Test(.row("R3"), arguments: [["run 1"], ["run 1", "another network"]])
    func aCheckThatHasPassedIsNotForgottenWithTheEngine(_ endpoints: Set<String>) throws {
        let after = Self.checked(.starting, endpoints)
        let healthy = try Self.condition(Self.checked(.healthy, ["run 1"]), after)
        #expect(healthy == .present(.up, isChecked: true))
        let unhealthy = try Self.condition(Self.checked(.unhealthy, ["run 1"]), after)
        #expect(unhealthy == .present(.draining, isChecked: true))
    }

    /// The engine has gone before it could list what it had told.
    @Test(.row("R3")) func aCheckThatWasOnlyToldIsNotForgottenEither() throws {
        var lives = ContainerLives()
        lives.listed([Self.checked(.starting, ["run 1"])], now: .zero)
        lives.happened(ContainerEvent(action: "health_status", container: "a", health: .healthy), now: .zero)
        lives.lost()
        lives.listed([Self.checked(.starting, ["run 1"])], now: .seconds(2))
        #expect(lives.condition(of: try #require(lives.containers?.first)) == .present(.up, isChecked: true))
    }

    @Test(.row("R3"), arguments: [["run 2"], []])
    func anotherRunHasToPassItsOwn(_ endpoints: Set<String>) throws {
        let after = Self.checked(.starting, endpoints)
        #expect(try Self.condition(Self.checked(.healthy, ["run 1"]), after) == .absent(.unchecked))
        #expect(try Self.condition(Self.checked(.healthy, []), after) == .absent(.unchecked))
    }

    @Test func whatACheckSaysNowCounts() throws {
        let before = Self.checked(.healthy, ["run 1"])
        let after = Self.checked(.unhealthy, ["run 1"])
        #expect(try Self.condition(before, after) == .present(.draining, isChecked: true))
    }
}
