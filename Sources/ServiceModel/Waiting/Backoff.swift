// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How long to wait before something that failed is tried again: a ceiling that doubles with each failure, and of it the second
/// half by chance, so that many processes do not ask at once.
package struct Backoff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var ceiling: Duration

    /// - Parameters:
    ///   - first: ceiling of the first wait.
    ///   - longest: ceiling of every later one.
    package init(first: Duration, longest: Duration) {
        self.first = first
        self.longest = longest
        ceiling = first
    }

    /// For reading: from 50-100 ms to at most 5 s , so that a registry that is back is noticed within 5 s.
    package static var ofReader: Backoff { Backoff(first: .milliseconds(100), longest: .seconds(5)) }

    /// For writing what another may keep for long: half a second to ten.
    package static var ofWriter: Backoff { Backoff(first: .milliseconds(500), longest: .seconds(10)) }

    /// - Parameter random: 0..<1.
    package mutating func next(random: Double) -> Duration {
        defer { ceiling = min(ceiling * 2, longest) }
        return ceiling / 2 + ceiling / 2 * random
    }

    package mutating func reset() { ceiling = first }
}
