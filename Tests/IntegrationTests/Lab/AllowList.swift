// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import TestSupport

/// What a proxy in front of an engine's socket is told to let through, as operators read it in docs/labels.md.
enum AllowList {
    /// - Parameter isCompatible: whether it is that of `--compat registrator`.
    /// - Returns: whether a request's first line is let through.
    static func documented(isCompatible: Bool = false) throws -> @Sendable (_ request: String) -> Bool {
        let page = try String(contentsOfFile: "\(PackageRoot.path)/docs/labels.md", encoding: .utf8)
        let patterns = page.split(separator: "\n").filter { $0.hasPrefix("    ^(HEAD|GET) ") }.map { $0.dropFirst(4) }
        // The second is for `--compat registrator`.
        guard patterns.count == 2 else { throw MissingPart("two allow-lists in docs/labels.md: \(patterns)") }
        let pattern = String(patterns[isCompatible ? 1 : 0])
        return { request in
            // Method and path, without the protocol.
            let asked = request.split(separator: " ").prefix(2).joined(separator: " ")
            return asked.range(of: pattern, options: .regularExpression) != nil
        }
    }
}
