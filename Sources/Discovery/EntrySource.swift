// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// Where the entries of one service stand, and how they are written.
package struct EntrySource: Sendable, Hashable {
    /// Nil: as each entry looks (`EntryFormat.init(detecting:)`).
    package var format: EntryFormat?
    /// What all keys of the service begin with, without the slash behind it; nil: as the layout has it.
    package var prefix: String?
    /// Whether a host may be a name.
    package var resolvesNames = false

    package init(format: EntryFormat? = nil, prefix: String? = nil) {
        self.format = format
        self.prefix = prefix
    }

    func decode(_ value: [UInt8], key: String) throws(SkipReason) -> InstanceRecord {
        try (format ?? EntryFormat(detecting: value)).decode(value, key: key)
    }

    /// - Returns: nil for a value whose host is no name, or when names are refused.
    func decodeNamed(_ value: [UInt8], key: String) -> (name: String, record: InstanceRecord)? {
        guard resolvesNames else { return nil }
        return try? (format ?? EntryFormat(detecting: value)).decodeNamed(value, key: key)
    }
}
