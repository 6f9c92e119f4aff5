// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// One service as somebody sees it at one moment: what `legation services` shows.
package struct ServiceReport: Sendable, Hashable {
    /// What an instance is to its readers. The raw value is what tables and JSON show.
    package enum State: String, Sendable, Hashable, CaseIterable {
        case up
        /// Takes no new connections.
        case draining
        /// Its key is gone and it accepts connections: used for a while (docs/promises.md, "When an instance leaves", 3).
        case held
        /// Its key is gone and what that means is being found out, for a second; used until then.
        case leaving
    }

    package struct InstanceRow: Sendable, Hashable {
        /// The key that it stands under, or stood under.
        package let key: String
        package let endpoint: Endpoint
        package let state: State
        package let verdict: Verdict
        /// The writer's name for its host.
        package let node: String?
        /// RFC 3339, the writer's word.
        package let since: String?
        package let weight: Int
        package let lease: RegistryLease?
        /// Of the value shown.
        package let modRevision: Int64
        /// Nil unless `held` or `leaving`.
        package let hold: Hold?
        /// What an operator says of it; `state` and `weight` are as it says.
        package let override: OverrideRecord?
    }

    /// The age of an instance without a key.
    package struct Hold: Sendable, Hashable {
        /// Since its key went.
        package let past: Duration
        /// Until it is dropped at the latest.
        package let left: Duration
    }

    package struct SkippedRow: Sendable, Hashable {
        package let key: String
        package let reason: SkipReason

        package init(key: String, reason: SkipReason) {
            self.key = key
            self.reason = reason
        }
    }

    package let service: ServiceName
    /// Of the registry, newest that is folded in; 0 while nothing is known.
    package let revision: Int64
    /// In key order.
    package let instances: [InstanceRow]
    /// In key order; a key may also be among the instances, with its last valid value.
    package let skipped: [SkippedRow]
    package let counters: EndpointCounters

    /// Rows in `state`.
    package func count(_ state: State) -> Int { instances.count { $0.state == state } }

    /// Skipped keys as they stand, by reason.
    package var skippedByReason: [SkipReason: Int] {
        Dictionary(skipped.map { ($0.reason, 1) }, uniquingKeysWith: +)
    }
}

extension ServiceReport {
    /// What stands in a listing of `layout.servicesRange` (or of one service), as a proxy would see it that starts now.
    /// - Parameters:
    ///   - elsewhere: what stands below prefixes of their own, of services that `source` has there.
    ///   - answers: what names were found to be, of services whose source resolves them.
    ///   - source, selection: of each service.
    /// - Returns: a report for each service that has a key, by name, the keys that belong to none, and the names that
    ///   stand for addresses.
    package static func fold(
        _ listing: RegistryListing, elsewhere: [ServiceName: RegistryListing] = [:],
        overrides: [ServiceName: [EntryKey: OverrideRecord]] = [:], layout: KeyLayout, policy: TargetPolicy,
        answers: [String: [IPAddress]] = [:],
        source: (ServiceName) -> EntrySource = { _ in EntrySource() },
        selection: (ServiceName) -> Selection = { _ in Selection() }
    ) -> (services: [ServiceReport], unplaced: [SkippedRow], names: Set<String>) {
        var services: [ServiceName: [RegistryEntry]] = [:]
        var unplaced: [SkippedRow] = []
        for entry in listing.entries {
            if let place = layout.parse(entry.key) {
                // What stands here is not what a link uses that looks elsewhere.
                guard elsewhere[place.service] == nil else { continue }
                services[place.service, default: []].append(entry)
            } else {
                unplaced.append(SkippedRow(key: entry.key, reason: .key))
            }
        }
        for (service, listing) in elsewhere { services[service] = listing.entries }
        var members = 0
        var names: Set<String> = []
        let reports = services.sorted { $0.key < $1.key }.map { service, entries in
            var table = EndpointTable(
                service: service, layout: layout, policy: policy, hold: .zero, source: source(service),
                selection: selection(service))
            table.membersElsewhere = members
            // A listing of nothing but this service, so that there is nobody to ask and nothing to wait for.
            _ = table.reset(RegistryListing(revision: listing.revision, entries: entries), now: .zero)
            let words = (overrides[service] ?? [:]).mapValues { EndpointTable.Override($0, until: nil) }
            _ = table.overridesChanged(to: words, now: .zero)
            names.formUnion(table.names)
            for name in table.names {
                guard let addresses = answers[name], !addresses.isEmpty else { continue }
                _ = table.resolved(name, to: addresses, now: .zero)
            }
            members += table.members
            return table.report(now: .zero)
        }
        return (reports, unplaced, names)
    }
}

extension EndpointTable {
    package func report(now: Duration) -> ServiceReport {
        var rows: [(key: EntryKey, row: ServiceReport.InstanceRow)] = []
        var skipped: [(key: EntryKey, row: ServiceReport.SkippedRow)] = []
        let first = groups.values.map(\.member.tier).min()
        for (key, entry) in entries {
            if let problem = entry.problem {
                skipped.append((key, ServiceReport.SkippedRow(key: key.text, reason: problem)))
            }
            guard let member = entry.member, !ownEndpoints.contains(member.endpoint) else { continue }
            let verdict = Verdict(member, first: first)
            rows.append((key, row(key, member, Self.state(of: member), verdict, lease: entry.lease)))
        }
        rows += departureRows(now: now)
        return ServiceReport(
            service: service, revision: revision, instances: rows.sorted { $0.key < $1.key }.map(\.row),
            skipped: skipped.sorted { $0.key < $1.key }.map(\.row), counters: counters)
    }

    /// What is held, in no order.
    func held(now: Duration) -> [HoldPublisher.Held] {
        departureRows(now: now).map(\.row).filter { $0.state == .held }.compactMap { row in
            guard let instance = instance(ofKey: row.key) else { return nil }
            let isElsewhere = source.prefix != nil
            let node = isElsewhere ? nil : layout.parse(row.key)?.node
            let place = KeyLayout.Place(service: service, instance: instance, node: node)
            return HoldPublisher.Held(place: place, isElsewhere: isElsewhere, row: row)
        }
    }

    /// How many instance rows a report has in each state.
    var states: [ServiceReport.State: Int] {
        var states: [ServiceReport.State: Int] = [:]
        for entry in entries.values {
            guard let member = entry.member, member.isSelected, !ownEndpoints.contains(member.endpoint) else {
                continue
            }
            states[Self.state(of: member), default: 0] += 1
        }
        for (endpoint, departure) in departures where groups[endpoint] != nil {
            states[departure.isHeld ? .held : .leaving, default: 0] += 1
        }
        return states
    }

    /// Members that the link does not want.
    var unselected: Int { selection.filters.isEmpty ? 0 : entries.values.count { $0.member?.isSelected == false } }

    private static func state(of member: Member) -> ServiceReport.State { member.isDraining ? .draining : .up }

    private func departureRows(now: Duration) -> [(key: EntryKey, row: ServiceReport.InstanceRow)] {
        departures.filter { groups[$0.key] != nil }.values.map { departure in
            let hold = ServiceReport.Hold(
                past: now - departure.leftAt, left: max(departure.until - now, .zero))
            let state = departure.isHeld ? ServiceReport.State.held : .leaving
            let verdict = departure.isHeld ? Verdict.held : .leaving
            return (departure.key, row(departure.key, departure.member, state, verdict, lease: departure.lease, hold))
        }
    }

    private func row(
        _ key: EntryKey, _ member: Member, _ state: ServiceReport.State, _ verdict: Verdict, lease: RegistryLease?,
        _ hold: ServiceReport.Hold? = nil
    ) -> ServiceReport.InstanceRow {
        ServiceReport.InstanceRow(
            key: key.text, endpoint: member.endpoint, state: state, verdict: verdict, node: member.node,
            since: member.since,
            weight: member.weight, lease: lease, modRevision: member.modRevision, hold: hold,
            override: override(ofKey: key.text)?.record)
    }
}
