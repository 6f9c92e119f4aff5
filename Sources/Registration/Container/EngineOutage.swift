// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Decides how long a published port of a container is believed in while its engine is away: the containers of an engine
/// that restarts may well go on.
///
/// Pure: no clock, no sockets.
struct EngineOutage: Sendable {
    /// How long at most (docs/promises.md, "Containers").
    static let limit = Duration.seconds(120)
    /// Between probes, and how long each may take (docs/promises.md, "Containers").
    static let interval = Duration.seconds(5)
    static let probeLimit = Duration.seconds(1)
    /// In a row: one may be a server with a full queue.
    private static let refusals = 2

    enum End: Hashable {
        case refused
        case tooLong
    }

    let since: Duration
    private(set) var nextProbe: Duration
    private var refusals = 0

    /// The first probe is due at once: an engine often takes its containers along.
    init(since: Duration) {
        self.since = since
        nextProbe = since
    }

    /// - Parameter accepts: whether the published port accepted a connection.
    mutating func probed(_ accepts: Bool, now: Duration) {
        refusals = accepts ? 0 : refusals + 1
        nextProbe = now + Self.interval
    }

    var deadline: Duration { since + Self.limit }

    /// Why what is published is believed in no longer; nil while it is.
    func end(now: Duration) -> End? {
        if refusals >= Self.refusals { return .refused }
        return deadline <= now ? .tooLong : nil
    }
}
