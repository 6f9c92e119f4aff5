// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// How fresh what a client knows of its cluster is.
public struct Knowledge: Hashable, Sendable {
    /// Since when no member could be reached; nil while one can.
    public var staleSince: ContinuousClock.Instant?
    /// Last answer or watch response.
    public var lastContact: ContinuousClock.Instant?
    /// Newest revision seen, 0 before the first answer.
    public var revision = Revision(0)
    /// Connections made after the first.
    public var reconnects = 0
    /// Times that another cluster answered, or one restored from an older state: all watches listed anew.
    public var resyncs = 0
    /// Times that one watch had to list anew, for whatever reason.
    public var relists = 0
    /// Of the cluster that answered last, 0 before.
    public var clusterID: UInt64 = 0
    /// Of the member that we are, or were last, connected to.
    public var version: EtcdVersion?

    public init() {}
}

/// Folds connections made and lost into `Knowledge`, and says when an operator should hear of it.
struct KnowledgeStateMachine {
    enum Action: Equatable {
        case none
        case tellStale
        case tellFresh(after: Duration)
    }

    private(set) var knowledge = Knowledge()
    private var hasConnected = false
    private var isStaleTold = false
    private var term: UInt64 = 0

    /// Whether a member of our cluster shows an older state than another has shown: it lags, or it was restored.
    func isOlder(_ status: MemberStatus) -> Bool {
        status.clusterID == knowledge.clusterID
            && (status.revision < knowledge.revision || status.term < term)
    }

    /// A member answered its first question.
    /// - Parameter status: nil when we may not know it; what the member keeps will show with each call.
    /// - Returns: what to tell, and whether history broke: another cluster answers here, or one that was restored from
    ///   an older state. What watches know must then be listed anew.
    mutating func connected(
        _ status: MemberStatus?, now: ContinuousClock.Instant
    ) -> (action: Action, isHistoryBroken: Bool) {
        if hasConnected { knowledge.reconnects += 1 }
        let isBroken = status.map { compare($0) } ?? false
        hasConnected = true
        heard(revision: status?.revision ?? knowledge.revision, now: now)
        return (asked(hasLeader: status?.leader != 0, now: now), isBroken)
    }

    /// The member that we are connected to says whether it has a leader. Without one it tells what it has, which may be
    /// old, and takes no change.
    mutating func asked(hasLeader: Bool, now: ContinuousClock.Instant) -> Action {
        guard hasLeader else { return failed(now: now) }
        let since = knowledge.staleSince
        knowledge.staleSince = nil
        guard isStaleTold, let since else { return .none }
        isStaleTold = false
        return .tellFresh(after: since.duration(to: now))
    }

    private mutating func compare(_ status: MemberStatus) -> Bool {
        let isBroken = knowledge.clusterID != 0 && (status.clusterID != knowledge.clusterID || isOlder(status))
        knowledge.clusterID = status.clusterID
        knowledge.version = EtcdVersion(status.version)
        if isBroken {
            knowledge.revision = status.revision
            knowledge.resyncs += 1
        }
        term = isBroken ? status.term : max(term, status.term)
        return isBroken
    }

    /// Something came from the cluster.
    mutating func heard(revision: Revision, now: ContinuousClock.Instant) {
        knowledge.lastContact = now
        knowledge.revision = max(knowledge.revision, revision)
    }

    /// Nil before the first answer of a cluster.
    var newestRevision: Revision? { knowledge.clusterID == 0 ? nil : knowledge.revision }

    /// A watch had to list anew.
    mutating func relisted() { knowledge.relists += 1 }

    /// The connection went. Nobody is told yet: most often the next one is there at once.
    mutating func disconnected(now: ContinuousClock.Instant) {
        knowledge.staleSince = knowledge.staleSince ?? knowledge.lastContact ?? now
    }

    /// An attempt to connect failed.
    /// - Parameter isRoundOver: whether every endpoint has failed since one last answered; until then it is no news.
    mutating func failed(isRoundOver: Bool = true, now: ContinuousClock.Instant) -> Action {
        disconnected(now: now)
        guard isRoundOver, !isStaleTold else { return .none }
        isStaleTold = true
        return .tellStale
    }
}
