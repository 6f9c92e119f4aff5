// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Logging
private import Relay
private import ServiceLifecycle
private import ServiceModel

/// `legation forward`: one link to fixed targets. No etcd, no event loop: names are looked up on a thread of their own.
package enum ForwardDaemon {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: ForwardConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        let link = Link(id: Link.ID(0), name: configuration.linkName)
        let door = RelayParts.Door(link: link, listen: configuration.listen, policy: LinkPolicy(balance: .first))
        let parts: RelayParts
        do {
            parts = try RelayParts(doors: [door], settings: configuration.relay, logger: logger)
        } catch {
            Console.complain("legation forward: \(error)")
            return DaemonRun.failure
        }
        let resolver = TargetResolver(
            targets: configuration.targets, isOwn: { parts.listeners.leadsBack($0) },
            isReleased: { parts.engine.hasReleased($0) }, logger: logger)
        parts.reporter.onConnectFailed { resolver.connectFailed() }
        let services: [any Service] = [
            CancelledAtShutdown { await HurrySignal(hurry: parts.hurry).run() },
            CancelledAtShutdown { await resolver.run() },
            CancelledAtShutdown {
                for await snapshot in resolver.snapshots { try parts.apply(snapshot, to: link.id) }
            },
        ]
        return await DaemonRun.run(services + parts.services, logger: logger)
    }
}
