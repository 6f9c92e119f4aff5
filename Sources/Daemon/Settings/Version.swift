// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What this build is.
package enum Version {
    package static let number = "0.1.0"

    /// What `--version` prints.
    package static let text = "legation \(number) (unknown)"
}
