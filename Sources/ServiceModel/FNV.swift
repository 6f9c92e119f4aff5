// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension Sequence<UInt8> {
    /// The FNV-1a hash, 64 bits, in 16 hexadecimal digits: to tell things apart, not to keep anybody out.
    package var fnv1a: String {
        // In a buffer, without asking a generic iterator for each byte: what a process knew last has megabytes.
        let hash = withContiguousStorageIfAvailable { Self.hash($0) } ?? Self.hash(self)
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func hash(_ bytes: some Sequence<UInt8>) -> UInt64 {
        // Offset basis and prime of draft-eastlake-fnv.
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
