// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Etcd

/// etcd promises six things of a watch (tests/robustness/validate/watch.go checks them on etcd itself). Whatever a server
/// does that it may do, and some that it may not but did, a consumer of ours must find them kept.
@Suite struct WatchPropertyTests {
    enum Guarantee: String, CaseIterable {
        /// Revisions come in order.
        case ordered
        /// No event comes twice.
        case unique
        /// Nothing is left out, but for what a reset says instead.
        case reliable
        /// All events of a revision come at once.
        case atomic
        /// A watch goes on from the last revision that was complete.
        case resumable
        /// A report of progress at a revision means that everything up to it has come.
        case bookmarkable
    }

    @Test func whatIsAppliedIsTheHistoryOfTheServer() async {
        var totals = WatchRun.Counts()
        for seed in UInt64(1)...200 {
            var run = WatchRun(seed: seed)
            run.roll(steps: 200)
            run.settle()
            for breach in run.breaches.prefix(3) { Issue.record("seed \(seed): \(breach)") }
            let isSettled = run.isSettled
            #expect(isSettled, "seed \(seed): does not come to rest")
            totals.add(run.counts)
            // The tests beside this one need the few threads of the pool, too.
            await Task.yield()
        }
        // A test in which these do not happen shows nothing.
        #expect(totals.changes > 5_000 && totals.resets > 500 && totals.reconnects > 1_000)
        #expect(totals.fragments > 1_000 && totals.repeats > 500 && totals.bookmarks > 200 && totals.breaks > 50)
    }
}
