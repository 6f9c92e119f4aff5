// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Decides when the engine's list is due: every so often, and soon after something happened.
///
/// Pure: times come by a stopwatch.
package struct ListingSchedule: Sendable {
    /// Engines skip events to those who do not keep up, and say nothing of it (docs/promises.md, "Containers").
    static let period = Duration.seconds(30)
    /// From an event to the list, and so between two lists: one container that starts is told of by half a dozen events, and
    /// engines tell of a change before their list shows it (moby 20.10 writes the container's file in between).
    package static let settling = Duration.milliseconds(100)
    /// From the last event to one more list, where that file took longer to write.
    package static let confirmation = Duration.seconds(1)
    /// Actions of a container that leave what the list says as it is.
    private static let idleActions: Set<String> = [
        "archive-path", "attach", "checkpoint", "commit", "copy", "detach", "exec", "exec_create", "exec_detach",
        "exec_die", "exec_died", "exec_start", "export", "extract-to-dir", "resize", "top",
    ]

    /// So often in a row a list that was overtaken is thrown away: on an engine where something happens all the time, one that
    /// is a little old is better than none.
    private static let longestPatience = 5

    /// When the next list is to be asked for.
    private(set) var due: Duration
    /// When a list is to confirm what the last event was followed by; nil when none is needed.
    private var confirmationDue: Duration?
    /// Whether something has happened since the last list was asked for.
    private var isOvertaken = false
    private var overtaken = 0

    /// - Parameter now: a connection has just been made; the first list is due when the events are subscribed to, or this
    ///   much later, since an engine may say so only with the first event.
    init(now: Duration) { due = now + .milliseconds(500) }

    mutating func subscribed(now: Duration) { due = min(due, now) }

    /// - Returns: whether it is worth telling anybody.
    mutating func happened(_ event: EngineEvent, now: Duration) -> Bool {
        if case .container(let event) = event, Self.idleActions.contains(event.action) { return false }
        isOvertaken = true
        due = min(due, now + Self.settling)
        confirmationDue = now + Self.confirmation
        return true
    }

    mutating func listingBegan(now: Duration) {
        isOvertaken = false
        if let confirmation = confirmationDue, confirmation <= now { confirmationDue = nil }
        due = confirmationDue ?? now + Self.period
    }

    /// - Returns: whether what it says may be believed: an event that came meanwhile may be newer than the list, or older.
    mutating func listingEnded() -> Bool {
        overtaken = isOvertaken ? overtaken + 1 : 0
        guard overtaken > Self.longestPatience else { return overtaken == 0 }
        overtaken = 0
        return true
    }
}
