// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
package import FoundationEssentials
package import Registry
package import ServiceModel

/// What is registered, as a proxy would see it that starts now, and how it is shown.
package struct ServicesReport: Sendable {
    /// One instance: of a key that stands, or of a key that is gone while proxies hold what it named.
    package struct Row: Sendable {
        package let key: String
        package let endpoint: Endpoint
        package let state: ServiceReport.State
        package let verdict: Verdict
        package let node: String?
        package let since: String?
        package let weight: Int?
        package let lease: RegistryLease?
        /// The proxies that say so, by process.
        package let holds: [HoldRow]
        package let override: OverrideRecord?
    }

    package struct Service: Sendable {
        package let name: ServiceName
        /// In key order.
        package var rows: [Row]
        package var skipped: [(key: String, reason: SkipReason)]
    }

    package let layout: KeyLayout
    package let revision: Int64
    /// How fresh all of it is.
    package let knowledge: KnowledgeReport
    /// By name.
    package let services: [Service]
    /// Hosts that stand for addresses.
    package let names: Set<String>
    /// Keys that belong to no service.
    package let skipped: [(key: String, reason: SkipReason)]

    /// - Parameters:
    ///   - listing: of the services' range, or of one service's.
    ///   - elsewhere: of services that stand below a prefix of their own.
    ///   - holds: a listing of the holds' range.
    ///   - overrides: a listing of the overrides' range.
    ///   - health: of the store, after all of them.
    ///   - answers: what names were found to be.
    ///   - view: what the link goes by whose eyes these are.
    ///   - only: the one service to show; nil shows all.
    package init(
        _ listing: RegistryListing, elsewhere: [ServiceName: RegistryListing] = [:], holds: RegistryListing,
        overrides: RegistryListing, health: RegistryHealth, layout: KeyLayout, view: LinkView,
        answers: [String: [IPAddress]] = [:], only: ServiceName? = nil, wallClock: Date = .now
    ) {
        knowledge = KnowledgeReport(health)
        self.layout = layout
        revision = listing.revision
        let (words, problems) = OverrideWords.parse(overrides.entries, layout: layout, wallClock: wallClock)
        let (reports, unplaced, names) = ServiceReport.fold(
            listing, elsewhere: elsewhere, overrides: words.mapValues { $0.mapValues(\.record) }, layout: layout,
            policy: view.policy, answers: answers, source: { view.source(of: $0) },
            selection: { view.selection(of: $0) })
        self.names = names
        let held = Dictionary(grouping: HoldRow.rows(holds, layout: layout), by: \.service)
        let known = Dictionary(uniqueKeysWithValues: reports.map { ($0.service, $0) })
        let shown = Set(known.keys).union(held.keys).filter { only == nil || $0 == only }
        services = shown.sorted().map { Self.service($0, known[$0], held[$0] ?? []) }
        let nobodys = unplaced.map { ($0.key, $0.reason) } + problems
        skipped = nobodys.filter { key, _ in only.map { Self.stands(key, with: $0, in: layout) } ?? true }
    }

    package var leases: Set<RegistryLease> { Set(services.flatMap(\.rows).compactMap(\.lease)) }

    /// Whether a key that is nobody's stands where those of a service do. Where nodes come first nothing tells.
    private static func stands(_ key: String, with service: ServiceName, in layout: KeyLayout) -> Bool {
        let isBeside = layout.order == .serviceFirst && layout.range(of: service).contains(key)
        return isBeside || RegistryRange.prefix(layout.overrideKey(service: service, instance: "")).contains(key)
    }

    private static func service(_ name: ServiceName, _ report: ServiceReport?, _ holds: [HoldRow]) -> Service {
        let byKey = Dictionary(grouping: holds, by: \.key)
        var rows = (report?.instances ?? []).map { row in
            Row(
                key: row.key, endpoint: row.endpoint, state: row.state, verdict: row.verdict, node: row.node,
                since: row.since,
                weight: row.weight, lease: row.lease,
                holds: (byKey[row.key] ?? []).filter { $0.record.endpoint == row.endpoint }, override: row.override)
        }
        let standing = Set(rows.map { "\($0.key) \($0.endpoint)" })
        for (key, words) in byKey {
            for (endpoint, same) in Dictionary(grouping: words, by: \.record.endpoint)
            where !standing.contains("\(key) \(endpoint)") {
                rows.append(
                    Row(
                        key: key, endpoint: endpoint, state: .held, verdict: .held, node: nil, since: nil, weight: nil,
                        lease: nil,
                        holds: same, override: nil))
            }
        }
        rows.sort { ($0.key, $0.endpoint) < ($1.key, $1.endpoint) }
        return Service(name: name, rows: rows, skipped: (report?.skipped ?? []).map { ($0.key, $0.reason) })
    }

    // MARK: Showing

    /// - Parameter remaining: time left on the leases.
    package func text(remaining: [RegistryLease: Duration]) -> String {
        var table = TextTable([
            "SERVICE", "KEY", "ADDRESS", "STATE", "VERDICT", "NODE", "SINCE", "LEASE LEFT", "HELD BY", "OVERRIDE",
        ])
        for service in services {
            for row in service.rows {
                table.add([
                    service.name.description, row.key, row.endpoint.description, row.state.rawValue,
                    Self.text(row.verdict), row.node ?? "",
                    row.since ?? "", row.lease.flatMap { remaining[$0] }.map(DurationText.format) ?? "",
                    row.holds.map { "\($0.record.node)/\($0.process)" }.joined(separator: ","),
                    row.override.map(Self.text) ?? "",
                ])
            }
        }
        return table.text + SkippedTable.text(services.flatMap(\.skipped) + skipped)
            + "\nknowledge: \(knowledge.text)\n"
    }

    private static func text(_ verdict: Verdict) -> String {
        let word = verdict.isUsed ? "used" : "not used"
        return verdict.reason.map { "\(word): \($0)" } ?? word
    }

    private static func text(_ override: OverrideRecord) -> String {
        let word =
            switch override.word {
            case .draining: "draining"
            case .weight(let weight): "weight \(weight)"
            }
        return [
            word, override.by.map { "by \($0)" }, override.since.map { "since \($0)" },
            override.until.map { "until \($0)" },
        ].compactMap(\.self).joined(separator: " ")
    }

    /// Keys: `prefix`, `layout`, `revision`, `services` (`service`, `instances`, `skipped`), `skipped`, `knowledge`
    /// (`KnowledgeReport.json`). An instance: `key`, `address`, `state`, `verdict` (`used`, `not-used`), `reason` (`Verdict.reason`), `node`, `since`, `weight`, `lease`, `leaseSeconds`, `held`, `heldBy` (`process`, `node`,
    /// `since`, `until`), `override` (`state` or `weight`, `by`, `since`, `until`). What was skipped: `key`, `reason` (stable), `detail`. What is not known is null.
    package func json(remaining: [RegistryLease: Duration]) -> JSONObject {
        let list = services.map { service in
            JSONValue.object([
                "service": .string(service.name.description),
                "instances": .array(service.rows.map { Self.json($0, remaining) }),
                "skipped": SkippedTable.json(service.skipped),
            ])
        }
        return [
            "prefix": .string(layout.prefix), "layout": .string(layout.order.rawValue),
            "revision": .integer(Int(revision)), "services": .array(list), "skipped": SkippedTable.json(skipped),
            "knowledge": knowledge.json,
        ]
    }

    private static func json(_ row: Row, _ remaining: [RegistryLease: Duration]) -> JSONValue {
        let holds = row.holds.map { hold in
            JSONValue.object([
                "process": .string(hold.process), "node": .string(hold.record.node),
                "since": .string(hold.record.since), "until": .string(hold.record.until),
            ])
        }
        return .object([
            "key": .string(row.key), "address": .string(row.endpoint.description),
            "state": .string(row.state.rawValue), "verdict": .string(row.verdict.isUsed ? "used" : "not-used"),
            "reason": JSONValue(row.verdict.reason), "node": JSONValue(row.node), "since": JSONValue(row.since),
            "weight": row.weight.map { .integer($0) } ?? .null, "lease": JSONValue(row.lease?.description),
            "leaseSeconds": JSONValue(seconds: row.lease.flatMap { remaining[$0] }),
            "held": .bool(!row.holds.isEmpty), "heldBy": .array(holds),
            "override": row.override.map { .object($0.json) } ?? .null,
        ])
    }
}
