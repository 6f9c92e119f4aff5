// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
private import ServiceModel

/// The registrators that live, and how they are shown.
package struct NodesReport: Sendable {
    package struct Row: Sendable {
        package let process: String
        package let record: PresenceRecord
        package let lease: RegistryLease?
        /// Instances that hang on its lease.
        package let instances: Int
        /// What an operator should look at; nil for nothing.
        package fileprivate(set) var warning: String?
    }

    package let layout: KeyLayout
    package let revision: Int64
    package private(set) var rows: [Row] = []
    /// Keys that no registrator of ours wrote.
    package private(set) var skipped: [(key: String, reason: SkipReason)] = []

    /// - Parameters:
    ///   - listing: of the layout's nodes.
    ///   - instances: of the layout's services.
    package init(_ listing: RegistryListing, instances: RegistryListing, layout: KeyLayout) {
        self.layout = layout
        revision = listing.revision
        let counts = Dictionary(
            instances.entries.compactMap { entry in entry.lease.map { ($0, 1) } }, uniquingKeysWith: +)
        for entry in listing.entries {
            guard let (node, process) = layout.parsePresence(entry.key) else {
                skipped.append((entry.key, .key))
                continue
            }
            do {
                let record = try PresenceRecord(decoding: entry.value, node: node)
                let count = entry.lease.flatMap { counts[$0] } ?? 0
                rows.append(Row(process: process, record: record, lease: entry.lease, instances: count))
            } catch {
                skipped.append((entry.key, error))
            }
        }
        for (_, same) in Dictionary(grouping: rows.indices, by: { rows[$0].record.node })
        where Set(same.map { rows[$0].record.boot }).count > 1 {
            for index in same { rows[index].warning = "two hosts call themselves \(rows[index].record.node)" }
        }
    }

    package var leases: Set<RegistryLease> { Set(rows.compactMap(\.lease)) }

    /// - Parameter remaining: time left on the leases.
    package func text(remaining: [RegistryLease: Duration]) -> String {
        var table = TextTable([
            "NODE", "PROCESS", "ADDRESS", "ZONE", "VERSION", "BOOT", "SINCE", "LEASE LEFT", "INSTANCES", "WARNING",
        ])
        for row in rows {
            let record = row.record
            table.add([
                record.node, row.process, record.address?.description ?? "", record.zone ?? "", record.version,
                record.boot, record.since, row.lease.flatMap { remaining[$0] }.map(DurationText.format) ?? "",
                "\(row.instances)", row.warning ?? "",
            ])
        }
        return table.text + SkippedTable.text(skipped)
    }

    /// Keys: `prefix`, `revision`, `nodes` (`node`, `process`, `address`, `zone`, `version`, `boot`, `since`, `lease`,
    /// `leaseSeconds`, `instances`, `warning`), `skipped` (`key`, `reason`, `detail`). What is not known is null.
    package func json(remaining: [RegistryLease: Duration]) -> JSONObject {
        let nodes = rows.map { row in
            let record = row.record
            return JSONValue.object([
                "node": .string(record.node), "process": .string(row.process),
                "address": JSONValue(record.address?.description), "zone": JSONValue(record.zone),
                "version": .string(record.version), "boot": .string(record.boot), "since": .string(record.since),
                "lease": JSONValue(row.lease?.description),
                "leaseSeconds": JSONValue(seconds: row.lease.flatMap { remaining[$0] }),
                "instances": .integer(row.instances), "warning": JSONValue(row.warning),
            ])
        }
        return [
            "prefix": .string(layout.prefix), "revision": .integer(Int(revision)), "nodes": .array(nodes),
            "skipped": SkippedTable.json(skipped),
        ]
    }
}
