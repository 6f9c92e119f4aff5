// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A label that cannot be used: what it says is a stranger's word, so it is repeated in part only.
package struct LabelProblem: Error, Sendable, Hashable {
    /// Bytes of the value that are shown.
    package static let shownLength = 64

    package let label: String
    /// Cut to 64 bytes at the most.
    package let value: String
    package let allowed: String

    package init(_ label: String, value: String, allowed: String) {
        self.label = label
        self.value = Self.cut(value)
        self.allowed = allowed
    }

    /// At the end of a character: half of one is no text.
    private static func cut(_ value: String) -> String {
        guard value.utf8.count > shownLength else { return value }
        var end = value.utf8.index(value.startIndex, offsetBy: shownLength)
        while String.Index(end, within: value.unicodeScalars) == nil { end = value.utf8.index(before: end) }
        return String(value[..<end])
    }
}
