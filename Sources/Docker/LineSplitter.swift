// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Cuts a stream of bytes into lines.
struct LineSplitter {
    /// An event names its container's labels, of which an image may bring many; more than this is no event.
    static let longest = 1 << 20

    private var rest: [UInt8] = []

    /// - Returns: the lines that `bytes` complete, without their ends, empty ones left out.
    /// - Throws: `.malformed` when a line is longer than `longest`.
    mutating func lines(in bytes: some Sequence<UInt8>) throws(DockerError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if !rest.isEmpty { lines.append(rest) }
                rest.removeAll(keepingCapacity: true)
            } else if byte != UInt8(ascii: "\r") {
                guard rest.count < Self.longest else {
                    throw DockerError(
                        .malformed, "an event of the container engine is longer than \(Self.longest) bytes")
                }
                rest.append(byte)
            }
        }
        return lines
    }
}
