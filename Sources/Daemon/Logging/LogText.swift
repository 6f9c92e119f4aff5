// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Text of others made fit for one line of a terminal: keys and values in etcd are written by whoever may write there.
package enum LogText {
    /// Characters of one value that a line shows. A key has 512 bytes at most; an error wraps a few of them.
    package static let maximumLength = 1024

    /// Control characters, line separators and direction overrides become visible escapes; `"` and `\` get a
    /// backslash; what is beyond the limit becomes an ellipsis.
    package static func escaped(_ text: String, limit: Int = maximumLength) -> String {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < limit else { return result + "…" }
            count += 1
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where isHarmful(scalar): result += "\\u{\(String(scalar.value, radix: 16))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A value as it stands behind `key=`: bare when every byte is plain, else quoted and escaped.
    package static func value(_ text: String) -> String {
        let isPlain = !text.isEmpty && text.utf8.count <= maximumLength && text.utf8.allSatisfy(isPlain)
        return isPlain ? text : "\"\(escaped(text))\""
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            && byte != UInt8(ascii: "=")
    }

    /// C0 and C1 controls with DEL, line and paragraph separators, and what turns the direction of writing around.
    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0, 0x200e...0x200f, 0x2028...0x202e, 0x2066...0x2069, 0xfeff: true
        default: false
        }
    }
}
