// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Rows under headings, in columns as wide as their widest cell.
package struct TextTable: Sendable {
    private let headings: [String]
    private var rows: [[String]] = []

    package init(_ headings: [String]) { self.headings = headings }

    /// - Parameter cells: as many as there are headings; an empty one shows as `-`.
    package mutating func add(_ cells: [String]) {
        precondition(cells.count == headings.count, "\(cells.count) cells under \(headings.count) headings")
        // Others' text: it must not break lines or move the cursor.
        rows.append(cells.map { $0.isEmpty ? "-" : LogText.escaped($0) })
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// Lines that end in newlines; two blanks between columns, none at the end of a line.
    package var text: String {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let padded = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            let line = padded.joined(separator: "  ")
            return String(line[...(line.lastIndex { $0 != " " } ?? line.startIndex)]) + "\n"
        }.joined()
    }
}
