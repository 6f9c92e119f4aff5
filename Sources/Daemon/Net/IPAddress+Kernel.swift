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
}
