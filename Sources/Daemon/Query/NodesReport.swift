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
    }

    package let layout: KeyLayout
    package let revision: Int64
    package private(set) var rows: [Row] = []
    /// Keys that no registrator of ours wrote.
    package private(set) var skipped: [(key: String, reason: SkipReason)] = []

    /// - Parameter listing: of the layout's nodes.
    package init(_ listing: RegistryListing, layout: KeyLayout) {
        self.layout = layout
        revision = listing.revision
        for entry in listing.entries {
            guard let (node, process) = layout.parsePresence(entry.key) else {
                skipped.append((entry.key, .key))
                continue
            }
            do {
                let record = try PresenceRecord(decoding: entry.value, node: node)
                rows.append(Row(process: process, record: record, lease: entry.lease))
            } catch {
                skipped.append((entry.key, error))
            }
        }
    }

    package var leases: Set<RegistryLease> { Set(rows.compactMap(\.lease)) }

    /// - Parameter remaining: time left on the leases.
    package func text(remaining: [RegistryLease: Duration]) -> String {
        var table = TextTable(["NODE", "PROCESS", "ADDRESS", "ZONE", "VERSION", "BOOT", "SINCE", "LEASE LEFT"])
        for row in rows {
            let record = row.record
            table.add([
                record.node, row.process, record.address?.description ?? "", record.zone ?? "", record.version,
                record.boot, record.since, row.lease.flatMap { remaining[$0] }.map(DurationText.format) ?? "",
            ])
        }
        return table.text + SkippedTable.text(skipped)
    }

    /// Keys: `prefix`, `revision`, `nodes` (`node`, `process`, `address`, `zone`, `version`, `boot`, `since`, `lease`,
    /// `leaseSeconds`), `skipped` (`key`, `reason`, `detail`). What is not known is null.
    package func json(remaining: [RegistryLease: Duration]) -> JSONObject {
        let nodes = rows.map { row in
            let record = row.record
            return JSONValue.object([
                "node": .string(record.node), "process": .string(row.process),
                "address": JSONValue(record.address?.description), "zone": JSONValue(record.zone),
                "version": .string(record.version), "boot": .string(record.boot), "since": .string(record.since),
                "lease": JSONValue(row.lease?.description),
                "leaseSeconds": JSONValue(seconds: row.lease.flatMap { remaining[$0] }),
            ])
        }
        return [
            "prefix": .string(layout.prefix), "revision": .integer(Int(revision)), "nodes": .array(nodes),
            "skipped": SkippedTable.json(skipped),
        ]
    }
}
