// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc

/// What goes to a person beside the log: complaints to standard error, answers to standard output.
package enum Console {
    /// One line to standard error.
    package static func complain(_ text: String) { LineLogHandler.writeToStandardError(text + "\n") }

    /// - Returns: false when standard output did not take all of it (a closed pipe, a full disk).
    package static func answer(_ text: String) -> Bool { LineLogHandler.write(text, to: STDOUT_FILENO) }
}
