// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Decides when a port without a health check is first published: a container runs before its program listens.
///
/// Pure: no clock, no sockets.
struct FirstProbe: Sendable {
    /// Between probes, and how long they go on at most (docs/promises.md, "Containers").
    static let interval = Duration.milliseconds(200)
    static let limit = Duration.seconds(10)

    let since: Duration
    private(set) var nextProbe: Duration
    private(set) var hasAccepted = false

    /// The first probe is due at once.
    init(since: Duration) {
        self.since = since
        nextProbe = since
    }

    /// - Parameter accepts: whether the port accepted a connection.
    mutating func probed(_ accepts: Bool, now: Duration) {
        if accepts { hasAccepted = true }
        nextProbe = now + Self.interval
    }

    var deadline: Duration { since + Self.limit }

    /// Whether it is published: it accepts, or we may be the ones who cannot reach it.
    func isOver(now: Duration) -> Bool { hasAccepted || deadline <= now }
}
