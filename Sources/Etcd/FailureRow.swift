// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Failures in a row of something that is begun again whenever it ends: what its backoff counts.
///
/// Begun and lost at once, again and again, is no success either: only one that has lived for a while ends the row.
struct FailureRow {
    /// As long as the longest wait between two tries (`Backoff.maximum`).
    static let settledTime = Duration.seconds(5)

    private(set) var count = 0

    /// - Parameters:
    ///   - wasGood: whether it was of use at all.
    ///   - lived: for how long.
    mutating func ended(wasGood: Bool, lived: Duration) {
        count = wasGood && lived >= Self.settledTime ? 0 : count + 1
    }
}
