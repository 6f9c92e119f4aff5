// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Relay
package import ServiceModel
private import Synchronization

/// Tells the log what the relay counts: what is new at once, what repeats in a summary every 10 s, never a line per
/// refused client.
///
/// ## Concurrency
/// Safe from any thread; `run` writes the summaries.
package final class RelayReporter: Sendable {
    /// What lines are told apart by.
    private enum Kind: Hashable {
        case notAccepting(Link.ID, InstanceID)
        case noPortLeft(Link.ID, InstanceID)
        case noInstance(Link.ID)
        case unreachable(Link.ID)
        case crowded(Link.ID)
        case acceptPaused
        case resources
    }

    private struct State {
        var repeats = RepeatCounter<Kind>()
        /// By slot, of which there are as many as there are instances: a new tenant takes the old one's place.
        var tenants: [InstanceID?] = []
        var addresses: [InstanceAddress?] = []
        var droppedEvents: UInt64 = 0
        var connectFailed: (@Sendable () -> Void)?
    }

    private let links: [Link.ID: Link]
    private let logger: Logger
    private let state = Mutex(State())

    package init(links: [Link], logger: Logger) {
        self.links = Dictionary(uniqueKeysWithValues: links.map { ($0.id, $0) })
        self.logger = logger
    }

    /// Learns what to call the instances of a snapshot that the relay is given.
    package func learn(_ snapshot: EndpointSnapshot) {
        state.withLock { state in
            // An instance's address stays: most of a snapshot is known from the one before, and only looked at.
            for index in snapshot.instances.indices {
                let id = snapshot.instances[index].id
                let slot = Int(id.slot)
                if slot >= state.tenants.count {
                    let more = slot + 1 - state.tenants.count
                    state.tenants += [InstanceID?](repeating: nil, count: more)
                    state.addresses += [InstanceAddress?](repeating: nil, count: more)
                }
                guard state.tenants[slot] != id else { continue }
                state.tenants[slot] = id
                state.addresses[slot] = snapshot.instances[index].address
            }
        }
    }

    /// Calls `body` when a batch of events holds a failed connect.
    package func onConnectFailed(_ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.connectFailed = body }
    }

    package func report(_ events: [RelayEvent]) {
        var hasFailure = false
        for event in events {
            switch event {
            case .connectFailed(let failure):
                hasFailure = true
                let (link, instance) = (failure.link, failure.instance)
                tell(
                    failure.isInstanceAtFault ? .notAccepting(link, instance) : .noPortLeft(link, instance),
                    ["error": "\(SyscallError.meaning(of: failure.errorNumber))"])
            case .connectionEnded(let end): report(end)
            case .instanceEjected(let ejection): report(ejection)
            case .instanceReturned(let link, let instance):
                logger.info(
                    "instance is used again",
                    metadata: ["link": "\(name(of: link))", "endpoint": "\(endpoint(of: instance))"])
            case .acceptPaused(let number):
                let reason = number == 0 ? "connection limit reached" : SyscallError.meaning(of: number)
                tell(.acceptPaused, ["error": "\(reason)"])
            case .acceptResumed: logger.debug("accepting again")
            case .linkDrained(let id): logger.debug("link drained", metadata: ["link": "\(name(of: id))"])
            }
        }
        if hasFailure { state.withLock { $0.connectFailed }?() }
    }

    /// Writes the summaries every 10 s until cancelled, and the last ones then.
    /// - Parameter droppedEvents: `RelayEvents.dropped`.
    package func run(droppedEvents: @Sendable () -> UInt64) async {
        repeat {
            try? await Task.sleep(for: RepeatCounter<Kind>.period)
            summarise(now: Task.isCancelled ? .now + RepeatCounter<Kind>.period : .now, dropped: droppedEvents())
        } while !Task.isCancelled
    }

    private func report(_ ejection: InstanceEjection) {
        let reason =
            ejection.errorNumber == 0
            ? "it accepts and ends connections at once" : SyscallError.meaning(of: ejection.errorNumber)
        logger.warning(
            "instance is out of use",
            metadata: [
                "link": "\(name(of: ejection.link))", "endpoint": "\(endpoint(of: ejection.instance))",
                "for": "\(DurationText.format(ejection.duration))", "error": "\(reason)",
            ])
    }

    private func report(_ end: ConnectionEnd) {
        switch end.reason {
        case .noInstance: tell(.noInstance(end.link), [:])
        case .noRoom: tell(.crowded(end.link), [:])
        case .connectFailed: tell(.unreachable(end.link), ["error": "\(SyscallError.meaning(of: end.errorNumber))"])
        case .resources: tell(.resources, ["error": "\(SyscallError.meaning(of: end.errorNumber))"])
        case .finished, .clientReset, .clientGone, .backendReset, .idleLimit, .halfClosedLimit, .cutInstanceGone,
            .cutRequested, .drainDeadline, .shutdownDeadline:
            break
        }
        guard logger.logLevel <= .debug else { return }
        logger.debug(
            "connection ended",
            metadata: [
                "link": "\(name(of: end.link))", "client": "\(end.client.map(\.description) ?? "-")",
                "endpoint": "\(end.instance.map(endpoint) ?? "-")", "reason": "\(end.reason)",
                "sent": "\(end.bytesFromClient)", "received": "\(end.bytesFromBackend)",
                "after": "\(DurationText.format(end.duration))",
            ])
    }

    private func tell(_ kind: Kind, _ more: Logger.Metadata) {
        guard state.withLock({ $0.repeats.occurred(kind, now: .now) }) else { return }
        logger.warning("\(Self.message(of: kind))", metadata: metadata(of: kind).merging(more) { $1 })
    }

    private func summarise(now: ContinuousClock.Instant, dropped: UInt64) {
        let (summaries, lost) = state.withLock { state in
            defer { state.droppedEvents = dropped }
            return (state.repeats.summaries(now: now), dropped - state.droppedEvents)
        }
        for (kind, repeats) in summaries {
            logger.warning(
                "\(Self.message(of: kind))", metadata: metadata(of: kind).merging(["repeats": "\(repeats)"]) { $1 })
        }
        if lost > 0 { logger.debug("more happened than could be told", metadata: ["lost": "\(lost)"]) }
    }

    private static func message(of kind: Kind) -> StaticString {
        switch kind {
        case .notAccepting: "instance does not accept connections"
        case .noPortLeft: "no local port left towards an instance"
        case .noInstance: "client refused, the link has no instance"
        case .unreachable: "client refused, no instance accepted in time"
        case .crowded: "client refused, every instance has as many connections as it may have"
        case .acceptPaused: "accepting paused"
        case .resources: "client refused, out of resources"
        }
    }

    private func metadata(of kind: Kind) -> Logger.Metadata {
        switch kind {
        case .notAccepting(let link, let instance), .noPortLeft(let link, let instance):
            ["link": "\(name(of: link))", "endpoint": "\(endpoint(of: instance))"]
        case .noInstance(let link), .unreachable(let link), .crowded(let link): ["link": "\(name(of: link))"]
        case .acceptPaused, .resources: [:]
        }
    }

    private func name(of link: Link.ID) -> String { links[link]?.name ?? "\(link.index)" }

    private func endpoint(of instance: InstanceID) -> String {
        let address = state.withLock { state -> InstanceAddress? in
            let slot = Int(instance.slot)
            guard slot < state.tenants.count, state.tenants[slot] == instance else { return nil }
            return state.addresses[slot]
        }
        return address?.description ?? "\(instance.slot)/\(instance.generation)"
    }
}
