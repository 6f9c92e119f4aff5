// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Testing

/// The faults of `docs/faults.md` that a test injects, by their ids: `@Test(.row("F8"))`. `Scripts/rows` reads them from
/// the sources, and finds the rows that no test has.
package struct Row: TestTrait, SuiteTrait {
    package let ids: [String]

    /// The id stands in the list of tests, as a comment.
    package var comments: [Comment] { ids.map { Comment(rawValue: "row \($0)") } }
}

extension Trait where Self == Row {
    package static func row(_ ids: String...) -> Self { Row(ids: ids) }
}
