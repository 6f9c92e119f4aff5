// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A server's version, and what an operator should know about it.
public struct EtcdVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let major: Int
    public let minor: Int
    public let patch: Int

    /// - Parameter text: `3.5.16`, perhaps with a suffix (`3.6.0-rc.1`).
    public init?(_ text: some StringProtocol) {
        let core = text.split(separator: "-", maxSplits: 1).first ?? ""
        let parts = core.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 3, let major = parts[0], let minor = parts[1], let patch = parts[2] else { return nil }
        self.init(major: major, minor: minor, patch: patch)
    }

    public init(major: Int, minor: Int, patch: Int) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    public var description: String { "\(major).\(minor).\(patch)" }

    public static func < (left: Self, right: Self) -> Bool {
        (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
    }

    /// The first versions in which a read permission for one key no longer lets all later keys be watched
    /// (GHSA-xg4h-6gfc-h4m8); the bugs of APIs without a check (CVE-2026-33413, CVE-2026-33343) were mended before.
    private static let safe35 = EtcdVersion(major: 3, minor: 5, patch: 33)
    private static let safe36 = EtcdVersion(major: 3, minor: 6, patch: 14)

    /// - Parameter text: as the server said it.
    public static func warnings(for text: String) -> [String] {
        guard let version = EtcdVersion(text) else { return ["version '\(text)' is not understood"] }
        switch (version.major, version.minor) {
        case (3, 5) where version < safe35, (3, 6) where version < safe36:
            return [
                "\(text) lets users of roles see keys that they may not read; with roles, use 3.5.33 or 3.6.14 and later"
            ]
        case (3, 4):
            return ["3.4 is out of support, and its roles can be got round; use 3.5.33 or 3.6.14 and later"]
        case (3, 5...): return []
        default: return ["version \(text) is not one that this program was made for (3.4 to 3.6)"]
        }
    }
}
