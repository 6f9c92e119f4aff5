// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
private import ServiceModel

extension AbsencePolicy.Loss {
    package static let allowedForm = "[SERVICE=]keep, drop-after:DURATION (1s to 24h) or fail"

    private static let limits: ClosedRange<Duration> = .seconds(1) ... .seconds(86_400)
    /// A connection that is lost and made anew in a moment is no silence.
    private static let shortest = limits.lowerBound
    private static let dropAfter = "drop-after:"

    package init?(_ text: String) {
        switch text {
        case "keep": self = .keep
        case "fail": self = .drop(after: Self.shortest)
        default:
            guard text.hasPrefix(Self.dropAfter),
                let limit = DurationText.parse(String(text.dropFirst(Self.dropAfter.count))),
                Self.limits.contains(limit)
            else { return nil }
            self = .drop(after: limit)
        }
    }
}

extension AbsencePolicy.Emptiness {
    package static let allowedForm =
        "[SERVICE=]refuse, keep or fallback:HOST:PORT, HOST an IPv4 address or an IPv6 address in brackets"

    private static let fallback = "fallback:"

    package init?(_ text: String) {
        switch text {
        case "refuse": self = .refuse
        case "keep": self = .keep
        default:
            guard text.hasPrefix(Self.fallback), let endpoint = Endpoint(String(text.dropFirst(Self.fallback.count))),
                endpoint.port > 0, !endpoint.address.isUnspecified
            else { return nil }
            self = .fallback(endpoint)
        }
    }
}
