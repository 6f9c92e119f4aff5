// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Logging
import Relay
import ServiceModel
import Synchronization

/// Passes each service's snapshots on to the links that stand for it, and ends what is left of those who have left.
///
/// ## Concurrency
/// Two tasks: `run` takes snapshots, `endOldConnections` looks at the clock.
final class LinkFeeder: Sendable {
    /// How often clocks of departures are looked at.
    private static let look = Duration.milliseconds(200)

    private let configuration: ProxyConfiguration
    private let parts: RelayParts
    private let watcher: EndpointWatcher
    private let isSilent: @Sendable () -> Bool
    private let logger: Logger
    private let unheard: Mutex<Set<ServiceName>>
    /// Of services with `--drain-timeout`.
    private let departures: Mutex<[ServiceName: Departures]>

    /// - Parameter isSilent: whether nothing is heard of the registry.
    init(
        configuration: ProxyConfiguration, parts: RelayParts, watcher: EndpointWatcher,
        isSilent: @escaping @Sendable () -> Bool, logger: Logger
    ) {
        self.configuration = configuration
        self.parts = parts
        self.watcher = watcher
        self.isSilent = isSilent
        self.logger = logger
        unheard = Mutex(Set(configuration.services))
        var departures: [ServiceName: Departures] = [:]
        for (service, timeout) in configuration.drainTimeouts {
            guard let limit = timeout.limit else { continue }
            departures[service] = Departures(timeout: limit, fallback: configuration.absences[service]?.fallback)
        }
        self.departures = Mutex(departures)
    }

    /// - Throws: when a listener cannot be opened.
    func run() async throws {
        if configuration.startsEmpty {
            for index in configuration.links.indices { try parts.open(Link.ID(UInt32(index))) }
            watcher.ownEndpointsChanged()
        }
        for await (service, snapshot) in watcher.snapshots {
            for (index, link) in configuration.links.enumerated() where link.service == service {
                try parts.apply(snapshot, to: Link.ID(UInt32(index)))
            }
            follow(snapshot, of: service)
            let isFirst = unheard.withLock { $0.remove(service) != nil }
            // A port that the kernel chose is known only now.
            if isFirst { watcher.ownEndpointsChanged() }
        }
    }

    /// Gives connections to whoever has left with a snapshot their time.
    private func follow(_ snapshot: EndpointSnapshot, of service: ServiceName) {
        let engine = parts.engine
        let left = departures.withLock { departures in
            departures[service]?.follow(snapshot, now: .now) { engine.openConnections(to: $0) > 0 } ?? []
        }.filter { engine.openConnections(to: $0.id) > 0 }
        guard let first = left.first, let limit = configuration.drainTimeouts[service]?.limit else { return }
        logger.info(
            "connections to instances that have left are given some time",
            metadata: [
                "service": "\(service)", "instances": "\(left.count)", "first": "\(first.address)",
                "time": "\(DurationText.format(limit))",
            ])
        if limit == .zero { endPassed() }
    }

    /// Ends connections whose instances have been gone for too long.
    func endOldConnections() async {
        let isAsked = departures.withLock { !$0.isEmpty }
        while !Task.isCancelled {
            // A service of a group that returns ends the group.
            try? await Task.sleep(for: isAsked ? Self.look : .seconds(3600))
            endPassed()
        }
    }

    private func endPassed() {
        let isSilent = isSilent()
        let passed = departures.withLock { departures in
            var passed: [ServiceName: [Instance]] = [:]
            for service in departures.keys {
                if isSilent { departures[service]?.hearNothing(now: .now) }
                passed[service] = departures[service]?.takePassed(by: .now)
            }
            return passed
        }
        for (service, instances) in passed {
            let open = instances.filter { parts.engine.openConnections(to: $0.id) > 0 }
            guard let first = open.first else { continue }
            var targets: Set<RelayTarget> = []
            for (index, link) in configuration.links.enumerated() where link.service == service {
                // Only what came by this service's links: another service may use the instance on.
                targets.formUnion(open.map { .member(Link.ID(UInt32(index)), $0.id) })
            }
            parts.engine.cut(targets, reason: .instanceGone)
            logger.info(
                "connections to instances that had left are reset",
                metadata: [
                    "service": "\(service)", "instances": "\(open.count)", "first": "\(first.address)",
                ])
        }
    }

    func tellOfWaiting(after delay: Duration) async {
        try? await Task.sleep(for: delay)
        let waiting = unheard.withLock { $0.sorted() }
        if !waiting.isEmpty, !Task.isCancelled {
            let names = waiting.map(\.description).joined(separator: ",")
            logger.warning("waiting for the registry", metadata: ["links": "\(names)"])
        }
        // A service of a group that returns ends the group.
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }
}
