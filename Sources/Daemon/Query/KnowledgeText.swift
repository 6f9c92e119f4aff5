// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

extension KnowledgeReport {
    /// In words, on one line.
    package var text: String {
        var parts = ["revision \(revision)"]
        if let cluster { parts[0] += " of cluster \(cluster)" }
        parts.append(lastContact.map { "last answer \(Self.milliseconds($0)) ms ago" } ?? "no answer yet")
        if let staleness { parts.append("stale for \(Self.milliseconds(staleness)) ms") }
        let counts = [(reconnects, "reconnects"), (relists, "relists"), (resyncs, "resyncs"), (drift, "drift")]
        parts += counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return parts.joined(separator: ", ")
    }

    /// Keys: `cluster`, `version`, `revision`, `lastContactMilliseconds`, `staleMilliseconds`, `reconnects`, `relists`,
    /// `resyncs`, `drift`. What is not known, or not so, is null.
    package var json: JSONValue {
        .object([
            "cluster": JSONValue(cluster), "version": JSONValue(version), "revision": .integer(Int(revision)),
            "lastContactMilliseconds": lastContact.map { .integer(Self.milliseconds($0)) } ?? .null,
            "staleMilliseconds": staleness.map { .integer(Self.milliseconds($0)) } ?? .null,
            "reconnects": .integer(reconnects), "relists": .integer(relists), "resyncs": .integer(resyncs),
            "drift": .integer(drift),
        ])
    }

    private static func milliseconds(_ duration: Duration) -> Int {
        Int(duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000)
    }
}
