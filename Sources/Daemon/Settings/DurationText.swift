// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Times as operators write them: `500ms`, `2s`, `5m`, `1h`; a bare number is seconds.
package enum DurationText {
    /// What an error message says of the allowed form.
    package static let allowedForm = "a number with ms, s, m or h; bare means seconds"

    /// 24 days in milliseconds and more than any setting allows: beyond it the sum could overflow.
    private static let maximumDigits = 10

    /// - Returns: nil for anything but 1...10 digits and perhaps a unit.
    package static func parse(_ text: some StringProtocol) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard (1...maximumDigits).contains(digits.utf8.count), let number = Int64(digits) else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(number)
        case "", "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        default: return nil
        }
    }

    /// The same grammar backwards: whole seconds as `2s`, anything finer as `500ms`.
    package static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        return milliseconds == 0 ? "\(seconds)s" : "\(seconds * 1000 + milliseconds)ms"
    }
}
