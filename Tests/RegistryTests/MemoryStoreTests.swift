// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import TestSupport
import Testing

@Suite struct MemoryStoreTests {
    @Test(.timeLimit(.minutes(1)), arguments: RegistryStoreContract.checks)
    func keepsTheContract(_ check: RegistryStoreContract.Check) async throws {
        let store = MemoryStore()
        let context = RegistryStoreContract.Context(
            store: store, prefix: "/contract/\(check.name)/", compact: { store.compact() },
            revoke: { store.revoke($0) })
        try await check.run(context)
    }

    /// The contract's checks must be able to fail: a store without guards or transactions.
    @Test(.timeLimit(.minutes(1)))
    func theContractFindsABrokenStore() async throws {
        var broken: [String] = []
        for check in RegistryStoreContract.checks where check.name != "aCancelledWatchEnds" {
            let store = MemoryStore()
            let context = RegistryStoreContract.Context(
                store: GuardlessStore(store: store), prefix: "/contract/", compact: {}, revoke: { store.revoke($0) })
            do { try await check.run(context) } catch { broken.append(check.name) }
        }
        #expect(
            broken == [
                "guardsHold", "aLateDeleteDoesNothing", "aTransactionIsAllOrNothing", "takes128WritesAndNoMore",
                "refusesAKeyWrittenTwice", "watchShowsOneRevisionInOneBatchInKeyOrder", "watchIsResetAfterCompaction",
            ])
    }

    @Test(.timeLimit(.minutes(1)))
    func aLeaseThatNobodyKeepsEnds() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            let lease = store.grant(timeToLive: .seconds(5))
            let made = try #require(try await store.commit([.create("/a", [1], lease: lease)]))
            await clock.untilSleeping()
            clock.advance(by: .milliseconds(4900))
            #expect(try await store.remaining(of: lease) == .milliseconds(100))
            await clock.untilSleeping()
            clock.advance(by: .milliseconds(500))
            try await store.withWatch(.prefix("/"), from: made + 1) { events in
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event == .changes(revision: made + 1, [.remove(key: "/a")]))
            }
            #expect(try await store.remaining(of: lease) == nil)
            group.cancelAll()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func anOwnerInThisProcessNeverLosesItsLease() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            try await store.withOwner(timeToLive: .seconds(5)) { owner in
                let lease = try #require(owner.lease)
                for _ in 0..<3 {
                    await clock.untilSleeping()
                    clock.advance(by: .seconds(3600))
                }
                await clock.untilSleeping()
                #expect(owner.lease == lease)
                #expect(try await store.remaining(of: lease) == .seconds(5))
            }
            group.cancelAll()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aLeaseThatIsLeftToItsEndLastsItsWholeTime() async throws {
        let clock = ManualClock()
        let store = MemoryStore(clock: clock)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await store.run() }
            try await store.withOwner(timeToLive: .seconds(5), atEnd: .expire) { owner in
                await clock.untilSleeping()
                clock.advance(by: .seconds(3600))
                _ = try await store.commit([.create("/a", [], lease: owner.lease)])
            }
            await clock.untilSleeping()
            clock.advance(by: .milliseconds(4500))
            await clock.untilSleeping()
            #expect(try await store.list(.key("/a")).entries.count == 1)
            clock.advance(by: .milliseconds(500))
            while try await !store.list(.key("/a")).entries.isEmpty { await Task.yield() }
            group.cancelAll()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aWatchBeyondTheHistoryLimitIsReset() async throws {
        let store = MemoryStore(historyLimit: 3)
        let first = try await store.list(.prefix("/")).revision
        for number in 0..<20 { _ = try await store.commit([.create("/\(number)", [], lease: nil)]) }
        let last = store.health.revision
        #expect(last == first + 20)
        for (from, isReset) in [(first + 1, true), (last - 3, true), (last - 2, false), (last, false)] {
            try await store.withWatch(.prefix("/"), from: from) { events in
                var iterator = events.makeAsyncIterator()
                switch try await iterator.next() {
                case .reset(let listing): #expect(isReset && listing.entries.count == 20)
                case .changes(let revision, let changes): #expect(!isReset && revision == from && changes.count == 1)
                case nil: Issue.record("the watch ended")
                }
            }
        }
    }

    /// A consumer that does not read is told so by a reset, and costs no queue.
    @Test(.timeLimit(.minutes(1)))
    func aSlowWatchIsReset() async throws {
        let store = MemoryStore(historyLimit: 3)
        try await store.withWatch(.prefix("/"), from: store.health.revision + 1) { events in
            var iterator = events.makeAsyncIterator()
            _ = try await store.commit([.create("/first", [], lease: nil)])
            guard case .changes? = try await iterator.next() else {
                Issue.record("no change")
                return
            }
            for number in 0..<10 { _ = try await store.commit([.create("/\(number)", [], lease: nil)]) }
            guard case .reset(let listing)? = try await iterator.next() else {
                Issue.record("no reset")
                return
            }
            #expect(listing.entries.count == 11 && listing.revision == store.health.revision)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aFutureWatchWaitsForItsRevision() async throws {
        let store = MemoryStore()
        let now = store.health.revision
        try await store.withWatch(.prefix("/"), from: now + 3) { events in
            for number in 0..<3 { _ = try await store.commit([.create("/\(number)", [], lease: nil)]) }
            var iterator = events.makeAsyncIterator()
            guard case .changes(let revision, let changes)? = try await iterator.next() else {
                Issue.record("no change")
                return
            }
            #expect(revision == now + 3 && changes.map(\.key) == ["/2"])
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func stoppingEndsWatchesAndLifetimes() async throws {
        let store = MemoryStore()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await store.run() }
            try await store.withOwner(timeToLive: .seconds(5)) { owner in
                try await store.withWatch(.prefix("/"), from: store.health.revision + 1) { events in
                    group.cancelAll()
                    for try await _ in events { Issue.record("nothing was written") }
                }
                var lifetimes: [OwnerEvent] = []
                for await event in owner.lifetimes { lifetimes.append(event) }
                #expect(lifetimes.count == 1)
            }
        }
    }

    @Test func aCancelledCallerIsTold() async {
        let store = MemoryStore()
        await withTaskGroup(of: Void.self) { group in
            group.cancelAll()
            group.addTask {
                do throws(RegistryError) {
                    _ = try await store.list(.prefix("/"))
                    Issue.record("no error")
                } catch {
                    #expect(error.code == .cancelled)
                }
            }
        }
    }

    @Test func changingNothingIsNoRevision() async throws {
        let store = MemoryStore()
        let before = store.health.revision
        #expect(try await store.commit([.init(key: "/x", condition: .none, operation: .delete)]) == before)
        #expect(store.health.revision == before)
    }
}

/// Ignores guards and transactions: what the contract has to find.
private struct GuardlessStore: RegistryStore {
    let store: MemoryStore

    func run() async throws { try await store.run() }

    func list(_ range: RegistryRange, keysOnly: Bool) async throws(RegistryError) -> RegistryListing {
        try await store.list(range, keysOnly: keysOnly)
    }

    func withWatch<Result: Sendable>(
        _ range: RegistryRange, from revision: Int64, _ body: (RegistryEvents) async throws -> Result
    ) async throws -> Result {
        try await store.withWatch(range, from: revision, body)
    }

    func withOwner<Result: Sendable>(
        timeToLive: Duration, atEnd end: OwnerEnd, _ body: (any RegistryOwner) async throws -> Result
    ) async throws -> Result {
        try await store.withOwner(timeToLive: timeToLive, atEnd: end, body)
    }

    func commit(_ writes: [RegistryWrite]) async throws(RegistryError) -> Int64? {
        var revision: Int64?
        for write in writes {
            revision = try await store.commit([.init(key: write.key, condition: .none, operation: write.operation)])
        }
        return revision
    }

    func remaining(of lease: RegistryLease) async throws(RegistryError) -> Duration? {
        try await store.remaining(of: lease)
    }

    var health: RegistryHealth { store.health }
}
