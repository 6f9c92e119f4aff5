// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc

/// The process's environment variables.
package enum ProcessEnvironment {
    /// Taken once, before any thread exists that could change it.
    package static func current() -> [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let text = next.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            next += 1
        }
        return variables
    }
}
