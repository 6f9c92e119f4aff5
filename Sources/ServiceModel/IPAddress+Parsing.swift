// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension IPAddress {
    /// Parses a literal strictly; brackets, zone ids, octal, hexadecimal and short forms give nil.
    package init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            self.init(v6: text)
        } else if let bits = Self.parseV4(text) {
            self.init(v4: bits)
        } else {
            return nil
        }
    }

    private init?(v6 text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let halves = Self.halves(of: String(text))
        guard let halves, let head = Self.groups(halves.head, mayEndInV4: halves.tail == nil) else { return nil }
        var groups = head
        if let tailText = halves.tail {
            guard let tail = Self.groups(tailText, mayEndInV4: true), head.count + tail.count <= 7 else { return nil }
            groups += Array(repeating: 0, count: 8 - head.count - tail.count) + tail
        }
        guard groups.count == 8 else { return nil }
        let join = { (slice: ArraySlice<UInt16>) in slice.reduce(UInt64(0)) { $0 << 16 | UInt64($1) } }
        self.init(high: join(groups[..<4]), low: join(groups[4...]))
    }

    /// The text before and after `::`, the second nil where there is none; nil when `::` stands twice.
    private static func halves(of text: String) -> (head: Substring, tail: Substring?)? {
        let bytes = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        let doubles = bytes.indices.dropLast().filter { bytes[$0] == colon && bytes[$0 + 1] == colon }
        guard let first = doubles.first else { return (text[...], nil) }
        guard doubles.count == 1 else { return nil }
        let cut = text.utf8.index(text.startIndex, offsetBy: first)
        return (text[..<cut], text[text.utf8.index(cut, offsetBy: 2)...])
    }

    private static func groups(_ text: Substring, mayEndInV4: Bool) -> [UInt16]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, mayEndInV4, part.utf8.contains(UInt8(ascii: ".")) {
                guard let bits = parseV4(part) else { return nil }
                groups += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
            } else {
                guard (1...4).contains(part.utf8.count), part.utf8.allSatisfy(isHexDigit),
                    let group = UInt16(part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups.count <= 8 ? groups : nil
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    }

    /// Four decimal parts of 0...255, none with a leading zero (which other parsers read as octal).
    private static func parseV4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var value: UInt32 = 0
            for byte in part {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + UInt32(byte - UInt8(ascii: "0"))
            }
            guard value <= 255 else { return nil }
            bits = bits << 8 | value
        }
        return bits
    }
}
