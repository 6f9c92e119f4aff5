// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How long connections to an instance that has left may go on.
package enum DrainTimeout: Sendable, Hashable {
    /// For as long as both sides like.
    case never
    case after(Duration)

    package static let allowedForm = "[SERVICE=]never or DURATION (0s to 24h)"

    private static let limits: ClosedRange<Duration> = .seconds(0) ... .seconds(86_400)

    package init?(_ text: String) {
        if text == "never" {
            self = .never
        } else if let limit = DurationText.parse(text), Self.limits.contains(limit) {
            self = .after(limit)
        } else {
            return nil
        }
    }

    package var limit: Duration? {
        switch self {
        case .never: nil
        case .after(let limit): limit
        }
    }
}
