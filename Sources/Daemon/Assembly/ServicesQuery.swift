// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import FoundationEssentials
private import Logging
private import Registry
private import RegistryEtcd
private import ServiceModel

/// `legation services [SERVICE]`: what is registered.
package enum ServicesQuery {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: QueryConfiguration) async -> Int32 {
        await EtcdQuery.run(configuration, "services", ranges: ranges(configuration)) { listings, store in
            let report = report(configuration, listings, store.health)
            let remaining = await EtcdQuery.remaining(of: report.leases, in: store)
            return QueryWatch.Answer(text: report.text(remaining: remaining), json: report.json(remaining: remaining))
        }
    }

    /// Of the one service that is asked for, or of all.
    private static func ranges(_ configuration: QueryConfiguration) -> [RegistryRange] {
        let layout = configuration.etcd.layout
        return [here(configuration), layout.holdsRange, layout.overridesRange] + elsewhere(configuration).values
    }

    private static func here(_ configuration: QueryConfiguration) -> RegistryRange {
        let layout = configuration.etcd.layout
        return configuration.service.map { layout.range(of: $0) } ?? layout.servicesRange
    }

    private static func elsewhere(_ configuration: QueryConfiguration) -> [ServiceName: RegistryRange] {
        configuration.view.prefixes.filter { configuration.service == nil || configuration.service == $0.key }
    }

    private static func report(
        _ configuration: QueryConfiguration, _ listings: [RegistryRange: RegistryListing], _ health: RegistryHealth
    ) -> ServicesReport {
        let layout = configuration.etcd.layout
        let nothing = RegistryListing(revision: 0, entries: [])
        return ServicesReport(
            listings[here(configuration)] ?? nothing,
            elsewhere: elsewhere(configuration).mapValues { listings[$0] ?? nothing },
            holds: listings[layout.holdsRange] ?? nothing, overrides: listings[layout.overridesRange] ?? nothing,
            health: health, layout: layout, view: configuration.view, only: configuration.service)
    }
}
