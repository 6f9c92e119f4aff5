// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import FoundationEssentials
private import Logging
private import Registry
private import RegistryEtcd
private import ServiceModel

/// `legation services [SERVICE]`: what is registered.
package enum ServicesQuery {
    /// Names looked up at a time: one whose server is silent must not hold up the others.
    private static let lookups = 8
    /// A name that takes longer is shown as one that is not known.
    private static let patience = Duration.seconds(4)

    /// - Returns: the process's exit status.
    package static func run(_ configuration: QueryConfiguration) async -> Int32 {
        await EtcdQuery.run(configuration, "services", ranges: ranges(configuration)) { listings, store in
            var report = report(configuration, listings, store.health)
            if !report.names.isEmpty {
                let answers = await lookUp(report.names)
                report = Self.report(configuration, listings, store.health, answers)
            }
            let remaining = await EtcdQuery.remaining(of: report.leases, in: store)
            return QueryWatch.Answer(text: report.text(remaining: remaining), json: report.json(remaining: remaining))
        }
    }

    private static func lookUp(_ names: Set<String>) async -> [String: [IPAddress]] {
        let answers = await EtcdQuery.map(names.sorted(), width: lookups) { name in
            (name, await NameLookup().addresses(of: name, within: patience))
        }
        return Dictionary(answers, uniquingKeysWith: { $1 })
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
        _ configuration: QueryConfiguration, _ listings: [RegistryRange: RegistryListing], _ health: RegistryHealth,
        _ answers: [String: [IPAddress]] = [:]
    ) -> ServicesReport {
        let layout = configuration.etcd.layout
        let nothing = RegistryListing(revision: 0, entries: [])
        return ServicesReport(
            listings[here(configuration)] ?? nothing,
            elsewhere: elsewhere(configuration).mapValues { listings[$0] ?? nothing },
            holds: listings[layout.holdsRange] ?? nothing, overrides: listings[layout.overridesRange] ?? nothing,
            health: health, layout: layout, view: configuration.view, answers: answers, only: configuration.service)
    }
}
