// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Cuts a stream of bytes into lines.
struct LineSplitter {
    /// An event names its container's labels, of which an image may bring many; more than this is not worth the memory.
    static let longest = 1 << 20

    private var rest: [UInt8] = []
    /// Whether what comes until the next end is of a line that was too long.
    private var isSkipping = false

    /// - Returns: the lines that `bytes` complete, without their ends, empty ones left out; nil for one that is longer than
    ///   `longest`, as soon as it is.
    mutating func lines(in bytes: some Sequence<UInt8>) -> [[UInt8]?] {
        var lines: [[UInt8]?] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !rest.isEmpty { lines.append(rest) }
                rest.removeAll(keepingCapacity: true)
                isSkipping = false
            } else if byte != UInt8(ascii: "\r"), !isSkipping {
                if rest.count < Self.longest {
                    rest.append(byte)
                } else {
                    lines.append(nil)
                    rest = []
                    isSkipping = true
                }
            }
        }
        return lines
    }
}
