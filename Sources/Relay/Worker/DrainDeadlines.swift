// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// When what is left of drained links and instances is to end. Times are monotonic, in nanoseconds.
///
/// Thousands of instances may leave in one moment: the worker asks for `earliest` in every turn, and passes over its
/// connections once for all deadlines that have come together.
struct DrainDeadlines {
    private var deadlines: [RelayTarget: UInt64] = [:]
    /// No deadline is before this; it may be that of one that was taken back. `.max`: there is none.
    private(set) var earliest = UInt64.max

    /// Replaces the target's deadline; nil takes it back.
    mutating func set(_ deadline: UInt64?, of target: RelayTarget) {
        deadlines[target] = deadline
        earliest = deadlines.isEmpty ? .max : min(earliest, deadline ?? .max)
    }

    /// - Returns: the targets whose deadline has come; they have none any more.
    mutating func takePassed(by now: UInt64) -> Set<RelayTarget> {
        guard earliest <= now else { return [] }
        var passed: Set<RelayTarget> = []
        var next = UInt64.max
        for (target, deadline) in deadlines {
            if deadline <= now { passed.insert(target) } else { next = min(next, deadline) }
        }
        for target in passed { deadlines[target] = nil }
        earliest = next
        return passed
    }
}
