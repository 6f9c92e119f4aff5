// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Discovery
private import Etcd
private import Logging
private import Registry
private import Relay
private import ServiceLifecycle
private import ServiceModel
private import Synchronization

/// `legation proxy`: links whose instances follow etcd.
package enum ProxyDaemon {
    /// A registry that answers does so long before; then it is worth a line that nobody listens yet.
    private static let noticeDelay = Duration.seconds(1)

    /// - Returns: the process's exit status.
    package static func run(_ configuration: ProxyConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        DaemonRun.endAtSignals()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        let doors = configuration.links.enumerated().map { index, request in
            RelayParts.Door(
                link: Link(id: Link.ID(UInt32(index)), name: request.service.description), listen: request.listen,
                policy: LinkPolicy(
                    balance: configuration.balance,
                    connectionsPerInstance: configuration.instanceConnections[request.service]))
        }
        do {
            let parts = try RelayParts(doors: doors, settings: configuration.relay, logger: logger)
            let etcd = try EtcdParts(
                await EtcdSearch().configuration(for: configuration.etcd, logger: logger), logger: logger)
            let watcher = EndpointWatcher(
                store: etcd.store, configuration: discovery(configuration, parts), prober: ConnectProber(),
                logger: logger)
            parts.reporter.onConnectFailed { [weak watcher] in watcher?.connectFailed() }
            let feeder = LinkFeeder(configuration: configuration, parts: parts, watcher: watcher, logger: logger)
            let services: [any Service] = [
                CancelledAtShutdown { await HurrySignal(hurry: parts.hurry).run() },
                etcd.service,
                CancelledAtShutdown { try await watcher.run() },
                CancelledAtShutdown { try await feeder.run() },
                CancelledAtShutdown { await feeder.tellOfWaiting(after: noticeDelay) },
            ]
            return await DaemonRun.run(services + parts.services, logger: logger)
        } catch {
            Console.complain("legation proxy: \(error)")
            return DaemonRun.failure
        }
    }

    private static func discovery(_ configuration: ProxyConfiguration, _ parts: RelayParts) -> DiscoveryConfiguration {
        // Endpoints as the operator said them: what a search finds is another address after each restart of a container.
        let origin = LastGood.Origin(
            prefix: configuration.etcd.layout.root, endpoints: configuration.etcd.endpoints.map(\.description),
            services: configuration.services)
        let process = String(UInt64.random(in: .min ... .max), radix: 16)
        let node = configuration.place.node ?? HostFacts.hostName ?? "unknown"
        return DiscoveryConfiguration(
            layout: configuration.etcd.layout, services: configuration.services, sources: configuration.sources,
            policy: TargetPolicy(rules: configuration.targetRules), selections: configuration.selections,
            absences: configuration.absences,
            hold: configuration.hold,
            holder: DiscoveryConfiguration.Holder(node: node, process: process),
            resolver: configuration.sources.values.contains(where: \.resolvesNames) ? SystemResolver() : nil,
            lastGood: LastGoodFile(origin: origin, environment: configuration.environment),
            ownEndpoints: { Array(parts.listeners.ownEndpoints) }, released: { parts.engine.hasReleased($0) })
    }
}

/// Passes each service's snapshots on to the links that stand for it.
private final class LinkFeeder: Sendable {
    private let configuration: ProxyConfiguration
    private let parts: RelayParts
    private let watcher: EndpointWatcher
    private let logger: Logger
    private let unheard: Mutex<Set<ServiceName>>

    init(configuration: ProxyConfiguration, parts: RelayParts, watcher: EndpointWatcher, logger: Logger) {
        self.configuration = configuration
        self.parts = parts
        self.watcher = watcher
        self.logger = logger
        unheard = Mutex(Set(configuration.services))
    }

    /// - Throws: when a listener cannot be opened.
    func run() async throws {
        if configuration.startsEmpty {
            for index in configuration.links.indices { try parts.open(Link.ID(UInt32(index))) }
            watcher.ownEndpointsChanged()
        }
        var departures: [ServiceName: Departures] = [:]
        for (service, timeout) in configuration.drainTimeouts {
            guard let limit = timeout.limit else { continue }
            departures[service] = Departures(timeout: limit, fallback: configuration.absences[service]?.fallback)
        }
        for await (service, snapshot) in watcher.snapshots {
            for (index, link) in configuration.links.enumerated() where link.service == service {
                try parts.apply(snapshot, to: Link.ID(UInt32(index)))
            }
            if let change = departures[service]?.follow(snapshot, now: .now) { carryOut(change, of: service) }
            let isFirst = unheard.withLock { $0.remove(service) != nil }
            // A port that the kernel chose is known only now.
            if isFirst { watcher.ownEndpointsChanged() }
        }
    }

    private func carryOut(_ change: Departures.Change, of service: ServiceName) {
        for id in change.back { parts.engine.drain(.instance(id), until: nil) }
        for instance in change.left { parts.engine.drain(.instance(instance.id), until: change.deadline) }
        let open = change.left.filter { parts.engine.openConnections(to: $0.id) > 0 }
        guard !open.isEmpty else { return }
        let limit = configuration.drainTimeouts[service]?.limit ?? .zero
        logger.info(
            "connections to instances that have left are reset in time",
            metadata: [
                "service": "\(service)", "instances": "\(open.count)", "first": "\(open[0].address)",
                "within": "\(DurationText.format(limit))",
            ])
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
