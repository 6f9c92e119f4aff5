// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How many members a set had, as far back as its largest size within a window is asked for.
///
/// Only the peaks are kept: a size that a later, larger one outlives is never the answer again.
struct SizeHistory: Sendable {
    private struct Peak {
        let size: Int
        /// When the set stopped having this size.
        let until: Duration
    }

    private(set) var current = 0
    /// Falling sizes, rising times.
    private var peaks: [Peak] = []

    /// - Parameter now: not before the last call's.
    mutating func changed(to size: Int, now: Duration, window: Duration) {
        if let expired = peaks.firstIndex(where: { $0.until > now - window }) {
            peaks.removeFirst(expired)
        } else {
            peaks.removeAll()
        }
        guard size != current else { return }
        while let last = peaks.last, last.size <= current { peaks.removeLast() }
        peaks.append(Peak(size: current, until: now))
        current = size
    }

    /// - Returns: the largest size that the set had at any time after `now - window`.
    func largest(now: Duration, window: Duration) -> Int {
        max(current, peaks.first { $0.until > now - window }?.size ?? 0)
    }
}
