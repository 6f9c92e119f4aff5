// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension Sequence<UInt8> {
    /// The FNV-1a hash, 64 bits, in 16 hexadecimal digits: to tell things apart, not to keep anybody out.
    package var fnv1a: String {
        // Offset basis and prime of draft-eastlake-fnv.
        let hash = reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
