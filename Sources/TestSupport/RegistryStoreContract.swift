// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// What every `RegistryStore` promises, as checks that run over any of them.
///
/// Each check works below a prefix of its own, so that they may share a store, also with others. One of them compacts
/// the whole store, which resets every watch from before: run them one after another.
package struct RegistryStoreContract: Sendable {
    /// A promise that was not kept.
    package struct ContractViolation: Error, CustomStringConvertible {
        package let description: String
    }

    /// What a check is given.
    package struct Context: Sendable {
        package let store: any RegistryStore
        /// Ends in a slash; nobody else writes below it.
        package let prefix: String
        /// Makes the store forget all history up to now.
        package let compact: @Sendable () async throws -> Void
        /// Ends a lease behind its owner's back.
        package let revoke: @Sendable (RegistryLease) async throws -> Void

        package init(
            store: any RegistryStore, prefix: String, compact: @escaping @Sendable () async throws -> Void,
            revoke: @escaping @Sendable (RegistryLease) async throws -> Void
        ) {
            self.store = store
            self.prefix = prefix
            self.compact = compact
            self.revoke = revoke
        }

        fileprivate var range: RegistryRange { .prefix(prefix) }

        fileprivate func put(_ name: String, _ value: String, lease: RegistryLease? = nil) async throws -> Int64 {
            let write = RegistryWrite(
                key: prefix + name, condition: .none, operation: .put(Array(value.utf8), lease: lease))
            return try await store.commit([write]).orViolation("an unguarded put was refused")
        }

        fileprivate func list(keysOnly: Bool = false) async throws -> RegistryListing {
            try await store.list(range, keysOnly: keysOnly)
        }
    }

    package struct Check: Sendable, CustomStringConvertible {
        package let name: String
        fileprivate let body: @Sendable (Context) async throws -> Void
        package var description: String { name }

        /// - Throws: `ContractViolation`, also when it takes longer than 30 s; whatever the store threw.
        package func run(_ context: Context) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body(context) }
                group.addTask {
                    try await Task.sleep(for: .seconds(30))
                    throw ContractViolation(description: "\(name): not done after 30 s")
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    package static let checks: [Check] =
        listing + writing + watching + owning
}

// MARK: Lists and writes

extension RegistryStoreContract {
    private static let listing = [
        Check(name: "listsInKeyOrderOfBytes") { context in
            for name in ["b", "a/2", "a", "é", "a/10", "Z", "e\u{301}"] { _ = try await context.put(name, name) }
            let entries = try await context.list().entries
            let expected = ["Z", "a", "a/10", "a/2", "b", "e\u{301}", "é"].map { context.prefix + $0 }
            try expect(entries.map { Array($0.key.utf8) } == expected.map { Array($0.utf8) }, "order \(entries)")
            try expect(
                entries.allSatisfy { $0.value == Array($0.key.utf8.dropFirst(context.prefix.utf8.count)) }, "values")
        },
        Check(name: "listsOneKeyOrNone") { context in
            let revision = try await context.put("a", "1")
            _ = try await context.put("ab", "2")
            let listing = try await context.store.list(.key(context.prefix + "a"))
            try expect(listing.entries.count == 1, "one key: \(listing.entries)")
            try expect(listing.entries.first?.modRevision == revision, "modRevision")
            try expect(listing.revision > revision, "the listing's revision is the store's")
            try expect(try await context.store.list(.key(context.prefix + "x")).entries.isEmpty, "no such key")
        },
        Check(name: "listsASpanWithoutItsEnd") { context in
            for name in ["a", "a/1", "a0", "b", "c"] { _ = try await context.put(name, name) }
            let span = RegistryRange.span(from: context.prefix + "a/", before: context.prefix + "c")
            let keys = try await context.store.list(span).entries.map(\.key)
            try expect(keys == ["a/1", "a0", "b"].map { context.prefix + $0 }, "\(keys)")
            let one = RegistryRange.span(from: context.prefix + "a", before: context.prefix + "a\0")
            try expect(try await context.store.list(one).entries.map(\.key) == [context.prefix + "a"], "one key")
        },
        Check(name: "keysOnlyLeavesValuesOut") { context in
            let revision = try await context.put("a", "1")
            let entry = try await context.list(keysOnly: true).entries.first.orViolation("no entry")
            try expect(entry.value.isEmpty && entry.modRevision == revision && entry.lease == nil, "\(entry)")
        },
    ]

    private static let writing = [
        Check(name: "guardsHold") { context in
            let key = context.prefix + "a"
            let store = context.store
            let made = try await store.commit([.create(key, [1], lease: nil)]).orViolation("create")
            try expect(try await store.commit([.create(key, [2], lease: nil)]) == nil, "created twice")
            let entry = RegistryEntry(key: key, value: [1], modRevision: made, lease: nil)
            let replaced = try await store.commit([.replace(entry, with: [3], lease: nil)]).orViolation("replace")
            try expect(replaced > made, "revisions grow")
            try expect(try await store.commit([.replace(entry, with: [4], lease: nil)]) == nil, "replaced an older one")
            try expect(try await context.list().entries.map(\.value) == [[3]], "only what was guarded was written")
        },
        Check(name: "aLateDeleteDoesNothing") { context in
            let key = context.prefix + "a"
            let mine = try await context.put("a", "mine")
            let theirs = try await context.put("a", "theirs")
            try expect(try await context.store.commit([.delete(key, modRevision: mine)]) == nil, "late delete")
            try expect(try await context.list().entries.map(\.modRevision) == [theirs], "theirs stands")
            try expect(try await context.store.commit([.delete(key, modRevision: theirs)]) != nil, "own delete")
            try expect(try await context.list().entries.isEmpty, "gone")
            try expect(try await context.store.commit([.delete(key, modRevision: theirs)]) == nil, "deleted twice")
        },
        Check(name: "aTransactionIsAllOrNothing") { context in
            _ = try await context.put("b", "there")
            let writes = ["a", "b", "c"].map { RegistryWrite.create(context.prefix + $0, [1], lease: nil) }
            try expect(try await context.store.commit(writes) == nil, "one guard does not hold")
            try expect(try await context.list().entries.count == 1, "nothing was written")
            let rest = ["a", "c"].map { RegistryWrite.create(context.prefix + $0, [1], lease: nil) }
            let revision = try await context.store.commit(rest)
            let made = try await context.list().entries.filter { $0.value == [1] }
            try expect(made.count == 2 && made.allSatisfy { $0.modRevision == revision }, "one revision: \(made)")
        },
        Check(name: "takes128WritesAndNoMore") { context in
            let writes = (0..<129).map { RegistryWrite.create(context.prefix + "\($0)", [1], lease: nil) }
            try await expectError(.invalid) { _ = try await context.store.commit(writes) }
            try expect(try await context.list().entries.isEmpty, "none of 129 was written")
            try expect(try await context.store.commit(Array(writes.dropLast())) != nil, "128 are granted")
            try expect(try await context.list().entries.count == 128, "128 were written")
        },
        Check(name: "refusesAKeyWrittenTwice") { context in
            let write = RegistryWrite.create(context.prefix + "a", [1], lease: nil)
            try await expectError(.invalid) { _ = try await context.store.commit([write, write]) }
        },
    ]
}

// MARK: Watches

extension RegistryStoreContract {
    private static let watching = [
        Check(name: "watchShowsEachChangeOnceFromItsRevision") { context in
            _ = try await context.put("a", "before")
            let start = try await context.list().revision
            _ = try await context.put("a", "1")
            try await context.store.withWatch(context.range, from: start + 1) { events in
                _ = try await context.put("b", "2")
                let made = try await context.put("a", "3")
                _ = try await context.store.commit([.delete(context.prefix + "a", modRevision: made)])
                _ = try await context.put("end", "")
                let seen = try await read(events, until: context.prefix + "end")
                try expect(seen.map(\.text) == ["a=1", "b=2", "a=3", "-a", "end="], "seen \(seen)")
                try expect(seen.map(\.revision) == seen.map(\.revision).sorted(), "in order")
                try expect(Set(seen.map(\.revision)).count == 5, "one revision each")
            }
        },
        Check(name: "watchShowsOneRevisionInOneBatchInKeyOrder") { context in
            let start = try await context.list().revision
            let names = ["c", "a", "b"]
            try await context.store.withWatch(context.range, from: start + 1) { events in
                let revision = try await context.store.commit(
                    names.map { .create(context.prefix + $0, [1], lease: nil) })
                var iterator = events.makeAsyncIterator()
                guard case .changes(let seen, let changes)? = try await iterator.next() else {
                    throw ContractViolation(description: "no changes")
                }
                try expect(seen == revision, "revision \(seen)")
                try expect(changes.map(\.key) == names.sorted().map { context.prefix + $0 }, "batch \(changes)")
            }
        },
        Check(name: "watchDoesNotSeeNeighbours") { context in
            let start = try await context.list().revision
            try await context.store.withWatch(.prefix(context.prefix + "redis/"), from: start + 1) { events in
                _ = try await context.put("redis-A/x", "1")
                _ = try await context.put("redis", "1")
                _ = try await context.put("redis/x", "2")
                _ = try await context.put("redis0", "1")
                _ = try await context.put("redis/end", "")
                let seen = try await read(events, until: context.prefix + "redis/end")
                try expect(seen.map(\.text) == ["x=2", "end="], "seen \(seen)")
            }
            try await context.store.withWatch(.key(context.prefix + "redis"), from: start + 1) { events in
                let seen = try await read(events, until: context.prefix + "redis")
                try expect(seen.map(\.text) == ["redis=1"], "one key: \(seen)")
            }
        },
        Check(name: "watchIsResetAfterCompaction") { context in
            let first = try await context.put("a", "1")
            _ = try await context.put("b", "2")
            _ = try await context.put("a", "3")
            try await context.compact()
            try await context.store.withWatch(context.range, from: first) { events in
                var iterator = events.makeAsyncIterator()
                guard case .reset(let listing)? = try await iterator.next() else {
                    throw ContractViolation(description: "no reset")
                }
                try expect(listing.entries.map(\.value) == [Array("3".utf8), Array("2".utf8)], "all: \(listing)")
                let next = try await context.put("c", "4")
                try expect(next > listing.revision, "the reset is of its revision")
                guard case .changes(let revision, let changes)? = try await iterator.next() else {
                    throw ContractViolation(description: "no change after the reset")
                }
                try expect(revision == next && changes.map(\.key) == [context.prefix + "c"], "goes on: \(changes)")
            }
        },
        Check(name: "aCancelledWatchEnds") { context in
            let start = try await context.list().revision
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try? await context.store.withWatch(context.range, from: start + 1) { events in
                        for try await _ in events {}
                    }
                }
                group.cancelAll()
                try await group.waitForAll()
            }
        },
    ]

    private struct Seen: CustomStringConvertible {
        let text: String
        let revision: Int64
        var description: String { "\(text)@\(revision)" }
    }

    /// Each change as `NAME=VALUE` or `-NAME`, where NAME is the key's last part, up to the first change of `last`.
    private static func read(_ events: RegistryEvents, until last: String) async throws -> [Seen] {
        var seen: [Seen] = []
        for try await event in events {
            guard case .changes(let revision, let changes) = event else {
                throw ContractViolation(description: "unexpected \(event)")
            }
            for change in changes {
                let name = change.key.split(separator: "/").last.map(String.init) ?? ""
                switch change {
                case .upsert(let entry):
                    try expect(entry.modRevision == revision, "modRevision of \(entry.key)")
                    seen.append(
                        Seen(text: "\(name)=\(String(decoding: entry.value, as: UTF8.self))", revision: revision))
                case .remove: seen.append(Seen(text: "-\(name)", revision: revision))
                }
                if change.key == last { return seen }
            }
        }
        throw ContractViolation(description: "the watch ended after \(seen)")
    }
}

// MARK: Owners

extension RegistryStoreContract {
    private static let timeToLive = Duration.seconds(5)

    private static let owning = [
        Check(name: "anOwnersKeysGoWithItsScope") { context in
            _ = try await context.put("stays", "")
            let lease = try await context.store.withOwner(timeToLive: timeToLive) { owner in
                var lifetimes = owner.lifetimes.makeAsyncIterator()
                guard case .granted(let lease, let granted)? = await lifetimes.next() else {
                    throw ContractViolation(description: "no grant")
                }
                try expect(owner.lease == lease && lease.id != 0, "lease in force: \(lease)")
                try expect(granted >= timeToLive, "granted \(granted)")
                _ = try await context.put("goes", "", lease: lease)
                let left = try await context.store.remaining(of: lease).orViolation("unknown while in force")
                try expect(left > .zero && left <= granted, "left \(left)")
                let entries = try await context.list().entries
                try expect(entries.map(\.lease) == [lease, nil], "lease of the entries: \(entries)")
                return lease
            }
            try expect(try await context.list().entries.map(\.key) == [context.prefix + "stays"], "goes with it")
            try expect(try await context.store.remaining(of: lease) == nil, "revoked")
            try await expectError(.leaseNotFound) { _ = try await context.put("late", "", lease: lease) }
        },
        Check(name: "aLostLeaseIsGrantedAnew") { context in
            try await context.store.withOwner(timeToLive: timeToLive) { owner in
                var lifetimes = owner.lifetimes.makeAsyncIterator()
                guard case .granted(let first, _)? = await lifetimes.next() else {
                    throw ContractViolation(description: "no grant")
                }
                _ = try await context.put("a", "", lease: first)
                try await context.revoke(first)
                try expect(await lifetimes.next() == .lost(first), "lost")
                guard case .granted(let second, _)? = await lifetimes.next() else {
                    throw ContractViolation(description: "no second grant")
                }
                try expect(second != first && owner.lease == second, "a new lease")
                try expect(try await context.list().entries.isEmpty, "what hung on the first is gone")
                try expect(try await context.store.remaining(of: first) == nil, "the first is unknown")
                _ = try await context.put("a", "", lease: second)
            }
        },
        Check(name: "aKeyBelongsToTheLastLeaseOnly") { context in
            try await context.store.withOwner(timeToLive: timeToLive) { owner in
                let second = try await context.store.withOwner(timeToLive: timeToLive) { inner in
                    _ = try await context.put("a", "inner", lease: try await lease(of: inner))
                    let second = try await lease(of: owner)
                    _ = try await context.put("a", "outer", lease: second)
                    return second
                }
                let entry = try await context.list().entries.first.orViolation("the first lease took the key along")
                try expect(entry.lease == second, "lease \(entry)")
            }
        },
        Check(name: "anOwnerThatThrowsIsRevoked") { context in
            struct Expected: Error {}
            do {
                try await context.store.withOwner(timeToLive: timeToLive) { owner in
                    _ = try await context.put("a", "", lease: try await lease(of: owner))
                    throw Expected()
                }
            } catch is Expected {
                try expect(try await context.list().entries.isEmpty, "gone with the scope")
            }
        },
        Check(name: "anOwnersKeysMayOutliveItAndBeTakenOver") { context in
            let former = try await context.store.withOwner(timeToLive: timeToLive, atEnd: .expire) { owner in
                let lease = try await lease(of: owner)
                _ = try await context.put("a", "1", lease: lease)
                _ = try await context.put("b", "1", lease: lease)
                return lease
            }
            let entries = try await context.list().entries
            try expect(entries.map(\.lease) == [former, former], "both stand as they were: \(entries)")
            let left = try await context.store.remaining(of: former).orViolation("the lease is gone")
            try expect(left > .zero, "left \(left)")
            try await context.store.withOwner(timeToLive: timeToLive) { owner in
                let next = try await lease(of: owner)
                _ = try await context.store.commit([.replace(entries[0], with: [2], lease: next)])
                try await context.revoke(former)
                try expect(try await context.list().entries.map(\.lease) == [next], "its end takes only its own")
            }
        },
        Check(name: "oneLeasesEndIsOneRevision") { context in
            let last = try await context.store.withOwner(timeToLive: timeToLive) { owner in
                let lease = try await lease(of: owner)
                _ = try await context.put("b", "", lease: lease)
                return try await context.put("a", "", lease: lease)
            }
            try await context.store.withWatch(context.range, from: last + 1) { events in
                var iterator = events.makeAsyncIterator()
                guard case .changes(_, let changes)? = try await iterator.next() else {
                    throw ContractViolation(description: "no changes")
                }
                try expect(
                    changes == [.remove(key: context.prefix + "a"), .remove(key: context.prefix + "b")], "\(changes)")
            }
        },
    ]

    private static func lease(of owner: any RegistryOwner) async throws -> RegistryLease {
        for await event in owner.lifetimes {
            if case .granted(let lease, _) = event { return lease }
        }
        throw ContractViolation(description: "no grant")
    }
}

private func expect(_ isKept: Bool, _ what: String) throws {
    if !isKept { throw RegistryStoreContract.ContractViolation(description: what) }
}

private func expectError(_ code: RegistryError.Code, _ body: () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as RegistryError where error.code == code {
        return
    }
    throw RegistryStoreContract.ContractViolation(description: "no error \(code)")
}

extension Optional {
    fileprivate func orViolation(_ what: String) throws -> Wrapped {
        guard let self else { throw RegistryStoreContract.ContractViolation(description: what) }
        return self
    }
}
