// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// The name of a service as operators write it: `redis-A`, `shop/checkout`.
///
/// Form: `[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*`, 1...200 bytes. Anything else has no `ServiceName`.
package struct ServiceName: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// What an error message says of the allowed form.
    package static let allowedForm = "[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*, at most 200 bytes"

    /// Longest name in bytes: leaves 312 of a 512-byte key to prefix and instance (registry limits).
    package static let maximumLength = 200

    package let description: String

    /// - Returns: nil when `text` is not of the allowed form.
    package init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.count <= Self.maximumLength else { return nil }
        for part in bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard !part.isEmpty, part.allSatisfy(Self.isAllowed) else { return nil }
        }
        description = String(text)
    }

    package static func < (left: Self, right: Self) -> Bool { left.description < right.description }

    /// Whether `byte` may stand in one part of a name; the same bytes go unencoded into an instance's name.
    package static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
