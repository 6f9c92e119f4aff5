// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import ServiceModel

/// The last part of an instance's key. Readers never take one apart; writers make them of parts joined by colons.
package enum InstanceName {
    /// What an error message says of the allowed form of a name that an operator gives.
    package static let allowedForm = "[A-Za-z0-9._:@%-]+, at most 200 bytes"

    /// What a 512-byte key leaves after the longest prefix and the longest service.
    package static let maximumLength = 200

    /// Whether an operator's name can be the last part of a key as it is.
    package static func isAllowed(_ name: String) -> Bool {
        let isAllowedByte = { (byte: UInt8) in ServiceName.isAllowed(byte) || ":@%".utf8.contains(byte) }
        return (1...maximumLength).contains(name.utf8.count) && name.utf8.allSatisfy(isAllowedByte)
    }

    /// `<part>:<part>…`, each percent-encoded, so that different parts never give the same name.
    package static func join(_ parts: [String]) -> String { parts.map(encode).joined(separator: ":") }

    /// Percent-encodes (upper-case hexadecimal) every byte outside `[A-Za-z0-9._-]`.
    package static func encode(_ part: some StringProtocol) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in part.utf8 {
            if ServiceName.isAllowed(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// - Returns: what `encode` was given; nil for text that `encode` would never give.
    package static func decode(_ text: some StringProtocol) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst().flatMap(hexValue), let low = rest.popFirst().flatMap(hexValue) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                guard ServiceName.isAllowed(byte) else { return nil }
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
