// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import FoundationEssentials
import Testing

/// What `--watch` writes.
@Suite struct LiveViewTests {
    private let time = Date(timeIntervalSince1970: 1_795_000_000)
    private let table = "A  B\n1  2\n3  4\n\nknowledge: revision 9\n"

    @Test func aStreamHasWholeTablesUnderTheirTime() {
        #expect(LiveView.stream.frame(table, time: time) == "\(time.formatted(.iso8601))\n\(table)\n")
    }

    @Test func jsonIsALineAnObject() {
        #expect(LiveView.json.frame("{}", time: time) == "{}\n")
    }

    /// The lines that a terminal shows of a frame, which begins at its upper left and clears what is left over.
    private func shown(_ frame: String) throws -> [String] {
        #expect(frame.hasPrefix("\u{1b}[H") && frame.hasSuffix("\u{1b}[J"))
        return frame.dropFirst(3).dropLast(3).split(separator: "\n").map { line in
            #expect(line.hasSuffix("\u{1b}[K"))
            return String(line.dropLast(3))
        }
    }

    @Test func aTerminalIsDrawnInPlace() throws {
        let lines = try shown(LiveView.terminal(columns: 80, lines: 24).frame(table, time: time))
        #expect(lines[0].hasPrefix("last change 20") && lines[0].hasSuffix("; Ctrl-C ends"))
        #expect(lines.dropFirst() == ["", "A  B", "1  2", "3  4", "", "knowledge: revision 9"])
    }

    @Test func nothingIsWiderOrHigherThanTheTerminal() throws {
        let long = (1...40).map { "row \($0) \(String(repeating: "x", count: 100))" }.joined(separator: "\n")
        let lines = try shown(
            LiveView.terminal(columns: 20, lines: 10).frame(long + "\n\nknowledge: fresh\n", time: time))
        #expect(lines.count == 9 && lines.allSatisfy { $0.count <= 20 })
        #expect(lines[2].hasPrefix("row 1 ") && lines[7] == "… 36 more lines" && lines[8] == "knowledge: fresh")
    }
}
