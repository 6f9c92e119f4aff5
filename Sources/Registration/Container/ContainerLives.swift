// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import Registry
import ServiceModel

/// Follows the life of every container of an engine, from what the engine lists and tells: whether it runs, is about to
/// end, and is well.
///
/// Pure: no clock, no engine. Listings are the truth. Events hasten it, and are the only witnesses of signals: who is
/// about to stop says so before any listing can. An engine that is away is not one without containers: nothing changes.
package struct ContainerLives: Sendable {
    /// A container that runs on for so long after a signal has not taken it for its end (docs/promises.md,
    /// "Containers").
    package static let patience = Duration.seconds(30)

    /// INT, QUIT, KILL, TERM and WINCH as Linux numbers them: what `docker stop` and the usual images' STOPSIGNAL send.
    private static let stopSignals: Set<Int> = [2, 3, 9, 15, 28]
    /// RTMIN+3, which stops a systemd; RTMIN is 34 to glibc, which is what engines count by.
    private static let firstStopSignalOfRealTime = 37
    /// For so long a list is not believed that shows as running who has just ended: until the list that confirms an event,
    /// which is asked for by the event's time, and the event may have come to us a little later.
    private static let disbelief = ListingSchedule.confirmation - ListingSchedule.settling

    /// What events say that no listing has said yet.
    private struct Hearsay: Sendable {
        var state: ContainerState?
        var health: ContainerHealth?
    }

    /// Nil before the first listing. By id, so that whatever follows is the same each time.
    package private(set) var containers: [Container]?
    /// By id, since the last listing.
    private var hearsay: [String: Hearsay] = [:]
    /// By id: when its end was told. A list of just after that may be of before it (`ListingSchedule`).
    private var endings: [String: Duration] = [:]
    /// By id: when a signal that was to end it is forgotten.
    private var farewells: [String: Duration] = [:]
    private var isLost = false

    package init() {}

    // MARK: What happened

    /// - Parameter containers: all that the engine has.
    package mutating func listed(_ containers: [Container], now: Duration) {
        let earlier = Dictionary((self.containers ?? []).map { ($0.id, $0) }) { first, _ in first }
        self.containers = containers.map { container in
            guard let one = earlier[container.id] else { return container }
            return container.remembering(hearsay[container.id]?.health ?? one.health, of: one)
        }.sorted { $0.id < $1.id }
        isLost = false
        endings = endings.filter { now - $0.value < Self.disbelief }
        hearsay = hearsay.filter { endings[$0.key] != nil }
        let alive = Set(containers.lazy.filter(\.state.isAlive).map(\.id))
        farewells = farewells.filter { alive.contains($0.key) }
        timeReached(now)
    }

    package mutating func happened(_ event: ContainerEvent, now: Duration) {
        let id = event.container
        switch event.action {
        case "kill":
            guard let signal = event.signal, Self.isStop(signal) else { return }
            farewells[id] = now + Self.patience
        // Podman says died.
        case "die", "died":
            ended(id, as: .exited, now: now)
        // Podman says remove.
        case "destroy", "remove":
            ended(id, as: .removing, now: now)
        case "start":
            farewells[id] = nil
            endings[id] = nil
        case "pause": if state(of: id) == .running { hearsay[id, default: Hearsay()].state = .paused }
        case "unpause": if state(of: id) == .paused { hearsay[id, default: Hearsay()].state = .running }
        case "health_status": if let health = event.health { hearsay[id, default: Hearsay()].health = health }
        default: break
        }
    }

    private mutating func ended(_ id: String, as state: ContainerState, now: Duration) {
        hearsay[id, default: Hearsay()].state = state
        farewells[id] = nil
        endings[id] = now
    }

    /// The engine is away until the next listing. That one is believed: what has been started meanwhile nobody tells.
    package mutating func lost() {
        isLost = true
        endings = [:]
    }

    package mutating func timeReached(_ now: Duration) {
        // Whether it still runs nobody can say while the engine is away.
        if !isLost { farewells = farewells.filter { $0.value > now } }
    }

    // MARK: What follows

    /// When time alone changes something; nil for never.
    package var deadline: Duration? { isLost ? nil : farewells.values.min() }

    /// What one of `containers` is to others now.
    package func condition(of container: Container) -> ContainerCondition {
        let heard = hearsay[container.id]
        let (state, health) = (heard?.state ?? container.state, heard?.health ?? container.health)
        guard state.isAlive else { return .absent(.notRunning(state)) }
        guard health != .starting else { return .absent(.unchecked) }
        let isUp = state == .running && health != .unhealthy && farewells[container.id] == nil
        return .present(isUp ? .up : .draining, isChecked: health != .none)
    }

    private func state(of id: String) -> ContainerState? {
        hearsay[id]?.state ?? containers?.first { $0.id == id }?.state
    }

    private static func isStop(_ signal: Int) -> Bool {
        stopSignals.contains(signal) || signal >= firstStopSignalOfRealTime
    }
}

/// Whether a container may be used.
package enum ContainerCondition: Sendable, Hashable {
    case absent(ContainerVerdict.Absence)
    /// - isChecked: by a health check of its own.
    case present(InstanceRecord.State, isChecked: Bool)
}
