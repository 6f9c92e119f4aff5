// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Discovery
private import Etcd
private import Logging
private import Registry
private import RegistryEtcd
private import Relay
private import ServiceLifecycle
private import ServiceModel

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
            let feeder = LinkFeeder(
                configuration: configuration, parts: parts, watcher: watcher,
                isSilent: { etcd.store.health.staleSince != nil }, logger: logger)
            let services: [any Service] = [
                CancelledAtShutdown { await HurrySignal(hurry: parts.hurry).run() },
                etcd.service,
                CancelledAtShutdown { try await watcher.run() },
                CancelledAtShutdown { try await feeder.run() },
                CancelledAtShutdown { await feeder.endOldConnections() },
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
