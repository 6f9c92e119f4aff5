// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import FoundationEssentials

/// How an answer that changes is shown: in place on a terminal, one after the other everywhere else.
package enum LiveView: Sendable, Hashable {
    /// - Parameters: columns and lines that there are.
    case terminal(columns: Int, lines: Int)
    /// Into a file or a pipe: whole tables.
    case stream
    /// One object a line.
    case json

    /// The bytes that show `answer`.
    /// - Parameters:
    ///   - answer: text of several lines, or for `json` one object.
    ///   - time: of its last change.
    package func frame(_ answer: String, time: Date) -> String {
        switch self {
        case .json: answer.hasSuffix("\n") ? answer : answer + "\n"
        case .stream: "\(time.formatted(.iso8601))\n\(answer)\n"
        case .terminal(let columns, let lines): Self.screen(answer, time: time, columns: columns, lines: lines)
        }
    }

    /// Home, every line cut to the width and cleared behind its end, and everything below cleared: what stays where it
    /// was does not flicker, and what was longer leaves nothing behind. The last line is left to whoever comes after us.
    private static func screen(_ answer: String, time: Date, columns: Int, lines: Int) -> String {
        let heading = "last change \(time.formatted(.iso8601)); Ctrl-C ends"
        var rows = [heading, ""] + answer.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        while rows.last == "" { rows.removeLast() }
        let room = max(lines - 1, 4)
        if rows.count > room {
            // The last line says how fresh all of it is.
            let left = rows.count - room + 1
            rows = rows.prefix(room - 2) + ["… \(left) more lines", rows[rows.count - 1]]
        }
        let shown = rows.map { String($0.prefix(max(columns, 1))) + "\u{1b}[K\n" }
        return "\u{1b}[H" + shown.joined() + "\u{1b}[J"
    }
}
