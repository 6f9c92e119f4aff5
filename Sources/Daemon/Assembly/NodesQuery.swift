// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Logging
private import Registry
private import RegistryEtcd

/// `legation nodes`: which registrators live.
package enum NodesQuery {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: QueryConfiguration) async -> Int32 {
        let layout = configuration.etcd.layout
        return await EtcdQuery.run(
            configuration, "nodes", ranges: [layout.nodesRange, layout.servicesRange]
        ) { listings, store in
            let nothing = RegistryListing(revision: 0, entries: [])
            let report = NodesReport(
                listings[layout.nodesRange] ?? nothing, instances: listings[layout.servicesRange] ?? nothing,
                layout: layout)
            let remaining = await EtcdQuery.remaining(of: report.leases, in: store)
            return QueryWatch.Answer(text: report.text(remaining: remaining), json: report.json(remaining: remaining))
        }
    }
}
