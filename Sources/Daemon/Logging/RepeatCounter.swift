// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Keeps a flood of equal messages to one line at once and one summary every 10 s.
///
/// A pure state machine over kinds of messages.
package struct RepeatCounter<Kind: Hashable & Sendable>: Sendable {
    private struct Window: Sendable {
        var endsAt: ContinuousClock.Instant
        var repeats: Int
    }

    /// docs/promises.md, "Defaults".
    package static var period: Duration { .seconds(10) }

    private var windows: [Kind: Window] = [:]

    package init() {}

    /// - Returns: whether this one should be told at once; otherwise it is counted.
    package mutating func occurred(_ kind: Kind, now: ContinuousClock.Instant) -> Bool {
        guard windows[kind] != nil else {
            windows[kind] = Window(endsAt: now + Self.period, repeats: 0)
            return true
        }
        windows[kind]?.repeats += 1
        return false
    }

    /// - Returns: what was repeated in periods that have ended, with how often; a period without repeats ends silence.
    package mutating func summaries(now: ContinuousClock.Instant) -> [(kind: Kind, repeats: Int)] {
        var summaries: [(kind: Kind, repeats: Int)] = []
        for (kind, window) in windows where window.endsAt <= now {
            if window.repeats > 0 { summaries.append((kind, window.repeats)) }
            windows[kind] = window.repeats > 0 ? Window(endsAt: now + Self.period, repeats: 0) : nil
        }
        return summaries
    }
}
