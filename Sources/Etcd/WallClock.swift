// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import FoundationEssentials

/// Wall-clock time for what is said; nothing is ever decided by it.
enum WallClock {
    /// Since 1970, as certificates count.
    static var seconds: Int { Int(Date.now.timeIntervalSince1970) }

    /// RFC 3339 in UTC, of `age` ago.
    static func timestamp(ago age: Duration) -> String {
        let seconds = Double(age.components.seconds) + Double(age.components.attoseconds) / 1e18
        return Date(timeIntervalSinceNow: -seconds).formatted(.iso8601)
    }
}
