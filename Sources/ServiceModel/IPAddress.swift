// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// An IPv4 or IPv6 address, in the one form that is compared, published and dialled.
///
/// IPv4-mapped IPv6 (`::ffff:1.2.3.4`) is IPv4 from the moment it is made, so that no policy can be passed by spelling
/// an address in the other family. Zone ids, octal, hexadecimal and bare-integer forms are not addresses here.
package struct IPAddress: Hashable, Sendable, Comparable {
    /// The 128 bits, network order; an IPv4 address is kept as `::ffff:a.b.c.d`.
    package let high: UInt64
    package let low: UInt64

    private static let mappedPrefix: UInt64 = 0x0000_ffff_0000_0000

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(v4 bits: UInt32) {
        self.init(high: 0, low: Self.mappedPrefix | UInt64(bits))
    }

    package static let loopbackV4 = IPAddress(v4: 0x7f00_0001)
    package static let loopbackV6 = IPAddress(high: 0, low: 1)
    package static let unspecifiedV4 = IPAddress(v4: 0)
    package static let unspecifiedV6 = IPAddress(high: 0, low: 0)

    package var isV4: Bool { high == 0 && low >> 32 == 0xffff }

    /// The 32 bits of an IPv4 address, nil for IPv6.
    package var v4: UInt32? { isV4 ? UInt32(truncatingIfNeeded: low) : nil }

    /// 127.0.0.0/8 or `::1`.
    package var isLoopback: Bool { v4.map { $0 >> 24 == 127 } ?? (self == .loopbackV6) }

    /// 0.0.0.0 or `::`.
    package var isUnspecified: Bool { self == .unspecifiedV4 || self == .unspecifiedV6 }

    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted decimal, or RFC 5952 for IPv6 (lower case, longest run of zeros shortened).
    package var description: String {
        if let v4 { return Self.dotted(v4) }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> (48 - 16 * UInt64($0 % 4))) }
        var best = 0..<0
        var start: Int?
        for index in 0...8 {
            if index < 8, groups[index] == 0 {
                start = start ?? index
            } else if let first = start {
                if index - first > best.count { best = first..<index }
                start = nil
            }
        }
        let hex = { (slice: ArraySlice<UInt16>) in slice.map { String($0, radix: 16) }.joined(separator: ":") }
        guard best.count > 1 else { return hex(groups[...]) }
        return hex(groups[..<best.lowerBound]) + "::" + hex(groups[best.upperBound...])
    }

    private static func dotted(_ bits: UInt32) -> String {
        "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
    }
}
