// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

extension WatchStateMachine {
    struct WatcherID: Hashable {
        let number: Int
    }

    enum Action: Equatable {
        case create(watchID: Int64, KeyRange, from: Revision)
        case cancel(watchID: Int64)
        case deliver(WatcherID, [WatchEvent])
        /// History is gone: list `range`, deliver a reset, then say `relisted`.
        case relist(WatcherID, KeyRange)
        /// The server refuses this watcher; waiting alone does not mend it.
        case fail(WatcherID, EtcdError.Code, reason: String)
        /// The server gave this watcher up for a reason that we do not know: wait, and say `rested`.
        case rest(WatcherID, attempt: Int)
        /// What the stream shows as our token may have ended.
        case renewToken
        /// This stream is of no use any more; open another, elsewhere when the member has no leader.
        case reconnect(reason: String)
    }

    /// What of a response matters, with events already in our types.
    struct Response {
        var watchID: Int64
        var revision: Revision
        var isCreated = false
        var isCanceled = false
        var compactRevision = Revision(0)
        var cancelReason = ""
        var isFragment = false
        var changes: [WatchChange] = []
    }

    enum Phase: Equatable {
        /// Waits for its turn, or for a stream.
        case queued
        case creating(watchID: Int64)
        case live(watchID: Int64)
        case relisting
        /// Given up by the server, and not tried again yet.
        case resting
        /// The consumer did not keep up: nothing is wanted before it is back.
        case parked
    }

    struct Watcher {
        let range: KeyRange
        /// The first revision that has not been delivered.
        var nextRevision: Revision
        var phase = Phase.queued
        /// Changes of fragments whose last one has not come.
        var held: [WatchChange] = []
        /// How often in a row the server has denied it, without a success in between.
        var denials = 0
        /// How often the server has given it up otherwise since it last told anything.
        var refusals = 0
    }
}
