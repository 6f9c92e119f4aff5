// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Logging
private import Registry
private import RegistryEtcd

/// `legation services [SERVICE]`: what is registered.
package enum ServicesQuery {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: QueryConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        let layout = configuration.etcd.layout
        do {
            let (report, remaining) = try await EtcdQuery.withClient(
                await EtcdQuery.configuration(configuration.etcd, logger: logger), logger: logger
            ) { client in
                let store = EtcdStore(client: client)
                let range = configuration.service.map { layout.range(of: $0) } ?? layout.servicesRange
                let (listing, holds) = (try await store.list(range), try await store.list(layout.holdsRange))
                let report = ServicesReport(
                    listing, holds: holds, health: store.health, layout: layout,
                    policy: TargetPolicy(rules: configuration.targetRules), only: configuration.service)
                return (report, await EtcdQuery.remaining(of: report.leases, in: store))
            }
            return EtcdQuery.answer(
                configuration, text: report.text(remaining: remaining), json: report.json(remaining: remaining))
        } catch {
            Console.complain("legation services: \(error)")
            return DaemonRun.failure
        }
    }
}
