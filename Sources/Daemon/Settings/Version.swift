// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import CLinux

/// What this build is.
package enum Version {
    package static let number = "0.1.0"

    /// What `--version` prints, with the commit that it was built from.
    package static let text = "legation \(number) (\(String(cString: clinux_build_commit())))"
}
