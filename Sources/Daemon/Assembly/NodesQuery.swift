// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Logging
private import Registry
private import RegistryEtcd

/// `legation nodes`: which registrators live.
package enum NodesQuery {
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
                let report = NodesReport(try await store.list(layout.nodesRange), layout: layout)
                return (report, await EtcdQuery.remaining(of: report.leases, in: store))
            }
            return EtcdQuery.answer(
                configuration, text: report.text(remaining: remaining), json: report.json(remaining: remaining))
        } catch {
            Console.complain("legation nodes: \(error)")
            return DaemonRun.failure
        }
    }
}
