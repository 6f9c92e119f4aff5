// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A block of addresses: `10.0.0.0/8`, `fd00::/8`. A bare address is the block that holds only it.
package struct CIDR: Hashable, Sendable, CustomStringConvertible {
    package let base: IPAddress

    /// Bits of `base` that count, of the 128 that an address is kept in (an IPv4 `/8` is 104).
    private let bits: Int

    /// - Parameter prefix: 0...32 for IPv4, 0...128 for IPv6, as the family's own notation counts.
    package init?(_ base: IPAddress, prefix: Int) {
        let width = base.isV4 ? 32 : 128
        guard (0...width).contains(prefix) else { return nil }
        bits = prefix + 128 - width
        self.base = base.masked(to: bits)
    }

    /// Parses `ADDRESS` or `ADDRESS/PREFIX`; bits set beyond the prefix are cleared. The prefix is decimal digits without
    /// leading zeros.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 2, let base = IPAddress(first) else { return nil }
        guard parts.count == 2 else {
            self.init(base, prefix: base.isV4 ? 32 : 128)
            return
        }
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
            digits.count == 1 || digits.first != UInt8(ascii: "0"), let prefix = Int(parts[1])
        else { return nil }
        self.init(base, prefix: prefix)
    }

    package func contains(_ address: IPAddress) -> Bool {
        address.isV4 == base.isV4 && address.masked(to: bits) == base
    }

    package var description: String { "\(base)/\(bits - (base.isV4 ? 96 : 0))" }
}

extension IPAddress {
    fileprivate func masked(to bits: Int) -> IPAddress {
        let highBits = min(bits, 64)
        let lowBits = max(0, bits - 64)
        return IPAddress(
            high: highBits == 0 ? 0 : high & (~0 << UInt64(64 - highBits)),
            low: lowBits == 0 ? 0 : low & (~0 << UInt64(64 - lowBits))
        )
    }
}
