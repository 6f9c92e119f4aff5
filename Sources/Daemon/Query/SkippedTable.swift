// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// Entries that are not used, below what is: each with its reason.
package enum SkippedTable {
    /// Empty when there are none.
    package static func text(_ skipped: [(key: String, reason: SkipReason)]) -> String {
        guard !skipped.isEmpty else { return "" }
        var table = TextTable(["SKIPPED KEY", "REASON", "DETAIL"])
        for (key, reason) in skipped { table.add([key, reason.rawValue, reason.description]) }
        return "\n" + table.text
    }

    /// Keys of each: `key`, `reason` (stable), `detail`.
    package static func json(_ skipped: [(key: String, reason: SkipReason)]) -> JSONValue {
        .array(
            skipped.map { key, reason in
                .object([
                    "key": .string(key), "reason": .string(reason.rawValue), "detail": .string(reason.description),
                ])
            })
    }
}

extension JSONValue {
    /// Null for nil.
    package init(_ text: String?) { self = text.map { .string($0) } ?? .null }

    /// Whole seconds; null for nil.
    package init(seconds duration: Duration?) {
        self = duration.map { .integer(Int($0.components.seconds)) } ?? .null
    }
}
