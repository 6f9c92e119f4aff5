// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Synchronization

extension EtcdClient {
    /// Watches `range` from `revision` on for as long as `body` runs.
    ///
    /// The sequence survives reconnection: what happened meanwhile is delivered, in order, each change once; a batch is
    /// always one whole revision. Where the server has compacted that history, or is not the cluster it was, it delivers
    /// `.reset` with everything that stands in the range.
    /// - Parameter revision: the revision after a listing's; not 0, which would race with the creation of the watch. One
    ///   that the cluster has not reached yet begins with `.reset`.
    public func withWatch<Result: Sendable>(
        _ range: KeyRange, from revision: Revision, _ body: (WatchEvents) async throws -> Result
    ) async throws -> Result {
        precondition(revision > Revision(0), "a watch starts behind a listing")
        let (id, events) = watches.add(range, from: revision, known: knowledgeState.withLock { $0.newestRevision })
        defer { watches.remove(id) }
        return try await body(events)
    }
}
