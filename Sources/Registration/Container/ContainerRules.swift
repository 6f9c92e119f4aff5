// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
import Registry
import ServiceModel

/// Decides what is to be thought of one container's port, from what an engine lists and tells.
///
/// Pure: no clock, no engine. Listings are the truth. Events hasten it, and are the only witnesses of signals: who is
/// about to stop says so before any listing can. An engine that is away is not one without containers: nothing changes.
package struct ContainerRules: Sendable {
    /// A container that runs on for so long after a signal has not taken it for its end (docs/promises.md,
    /// "Containers").
    package static let patience = Duration.seconds(30)

    /// INT, QUIT, KILL, TERM and WINCH as Linux numbers them: what `docker stop` and the usual images' STOPSIGNAL send.
    private static let stopSignals: Set<Int> = [2, 3, 9, 15, 28]
    /// RTMIN+3, which stops a systemd; RTMIN is 34 to glibc, which is what engines count by.
    private static let firstStopSignalOfRealTime = 37

    private struct Farewell: Sendable {
        let container: String
        let forgottenAt: Duration
    }

    package let selector: ContainerSelector
    private var hasListing = false
    private var container: Container?
    /// By events since the last listing.
    private var state: ContainerState?
    private var farewell: Farewell?
    private var isLost = false

    package init(_ selector: ContainerSelector) { self.selector = selector }

    // MARK: What happened

    /// - Parameter containers: all that the engine has.
    package mutating func listed(_ containers: [Container], now: Duration) {
        hasListing = true
        isLost = false
        container = selector.container(among: containers)
        state = nil
        let isAlive = containers.contains { $0.id == farewell?.container && Self.isAlive($0.state) }
        if !isAlive { farewell = nil }
        timeReached(now)
    }

    package mutating func happened(_ event: ContainerEvent, now: Duration) {
        guard event.container == container?.id || selector.isMeant(by: event) else { return }
        let isKnown = event.container == container?.id
        switch event.action {
        case "kill":
            guard let signal = event.signal, Self.isStop(signal) else { return }
            farewell = Farewell(container: event.container, forgottenAt: now + Self.patience)
        // Podman says died.
        case "die", "died":
            if isKnown { state = .exited }
            if farewell?.container == event.container { farewell = nil }
        case "start":
            if farewell?.container == event.container { farewell = nil }
        case "pause": if isKnown, current == .running { state = .paused }
        case "unpause": if isKnown, current == .paused { state = .running }
        default: break
        }
    }

    /// The engine is away until the next listing.
    package mutating func lost() { isLost = true }

    package mutating func timeReached(_ now: Duration) {
        // Whether it still runs nobody can say while the engine is away.
        if let farewell, farewell.forgottenAt <= now, !isLost { self.farewell = nil }
    }

    // MARK: What follows

    /// When time alone changes the verdict; nil for never.
    package var deadline: Duration? { isLost ? nil : farewell?.forgottenAt }

    package var verdict: ContainerVerdict {
        guard hasListing else { return .absent(.unlisted) }
        guard let container, let current else { return .absent(.noSuchContainer) }
        guard Self.isAlive(current) else { return .absent(.notRunning(current)) }
        let ports = container.ports.filter { $0.number == selector.port && $0.transport == selector.transport }
        guard !ports.isEmpty else { return .absent(.portUnknown) }
        let bindings = Set(ports.compactMap(\.binding)).filter { $0.port > 0 }
        guard !bindings.isEmpty else { return .absent(.portNotPublished) }
        let isUp = current == .running && farewell?.container != container.id
        return .present(
            ContainerVerdict.Sighting(
                container: container.names.first ?? String(container.id.prefix(ContainerSelector.shortestID)),
                bindings: bindings.sorted(by: Self.isBetter), state: isUp ? .up : .draining, labels: container.labels))
    }

    private var current: ContainerState? { state ?? container?.state }

    private static func isAlive(_ state: ContainerState) -> Bool { state == .running || state == .paused }

    private static func isStop(_ signal: Int) -> Bool {
        stopSignals.contains(signal) || signal >= firstStopSignalOfRealTime
    }

    /// IPv4 before IPv6, and of each family a specific address before an unspecified one, which says less. Loopback comes
    /// last of all: other hosts do not reach it. What is equal in this goes by address and port, so that the same
    /// bindings always give the same choice.
    private static func isBetter(_ left: ContainerPort.Binding, _ right: ContainerPort.Binding) -> Bool {
        func rank(_ binding: ContainerPort.Binding) -> (Int, Int, Int, IPAddress, UInt16) {
            let address = binding.address
            return (
                address.isLoopback ? 1 : 0, address.isV4 ? 0 : 1, address.isUnspecified ? 1 : 0, address, binding.port
            )
        }
        return rank(left) < rank(right)
    }
}
