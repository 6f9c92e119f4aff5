// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
private import Registry

extension EntrySource {
    /// What an error message says of the allowed form.
    package static let allowedForm =
        "[SERVICE=]FORMAT or SERVICE=FORMAT:PREFIX, FORMAT auto, "
        + EntryFormat.allCases.map(\.rawValue).joined(separator: ", ")
        + ", PREFIX at most \(maximumPrefixLength) bytes of [A-Za-z0-9._/-] that end without a slash"

    /// With it, 112 bytes of a key are left to the instance.
    private static let maximumPrefixLength = 400

    /// `FORMAT` or `FORMAT:PREFIX`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let format = EntryFormat(rawValue: parts[0])
        guard format != nil || parts[0] == "auto" else { return nil }
        guard parts.count == 2 else {
            self.init(format: format)
            return
        }
        let prefix = parts[1]
        guard (1...Self.maximumPrefixLength).contains(prefix.utf8.count), !prefix.hasSuffix("/"),
            prefix.utf8.allSatisfy(Self.isAllowed)
        else { return nil }
        self.init(format: format, prefix: prefix)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
