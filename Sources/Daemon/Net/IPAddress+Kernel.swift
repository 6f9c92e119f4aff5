// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

extension IPAddress {
    /// - Parameter bytes: 16 in network order, IPv4 as `::ffff:a.b.c.d`.
    package init(networkOrder bytes: UnsafePointer<UInt8>) {
        let raw = UnsafeRawPointer(bytes)
        self.init(
            high: UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }

    /// 16 in network order, IPv4 as `::ffff:a.b.c.d`.
    package var networkOrder: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) } }
    }

    /// 169.254.0.0/16 (RFC 3927) or fe80::/10 (RFC 4291).
    package var isLinkLocal: Bool { v4.map { $0 >> 16 == 0xa9fe } ?? (high >> 54 == 0xfe80 >> 6) }
}
