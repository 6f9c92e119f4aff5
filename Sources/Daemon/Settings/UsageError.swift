// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A command line or environment that cannot be carried out: the process ends with status 64 (`EX_USAGE`) and says
/// which key, which value and which form would be allowed.
package struct UsageError: Error, Hashable, CustomStringConvertible {
    /// `EX_USAGE` of sysexits.h, which the command line's parser uses too.
    package static let exitStatus: Int32 = 64

    /// A flag (`--ttl`), an environment variable (`LEGATION_TTL`) or an argument (`SERVICE`).
    package let key: String
    /// What was given, nil when nothing was.
    package let value: String?
    package let allowed: String

    package init(_ key: String, value: String, allowed: String) {
        self.key = key
        self.value = value
        self.allowed = allowed
    }

    package init(missing key: String, allowed: String) {
        self.key = key
        value = nil
        self.allowed = allowed
    }

    package var description: String {
        guard let value else { return "\(key) is missing; allowed: \(allowed)" }
        return "\(key): '\(LogText.escaped(value))' is not allowed; allowed: \(allowed)"
    }
}
