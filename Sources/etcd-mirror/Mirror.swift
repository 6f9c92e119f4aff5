// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Etcd
internal import FoundationEssentials
internal import Glibc
internal import Synchronization

/// A table of a range, kept by a listing and a watch.
final class Mirror: Sendable {
    private struct Table {
        var revision = Revision(0)
        var keys: [[UInt8]: KeyValue] = [:]
        var isChanged = true
        var drift = 0

        // What an audit knows already is told by a watch that lags: it must not bring back what was before.
        mutating func put(_ keyValue: KeyValue) {
            guard keys[keyValue.key].map({ $0.modRevision < keyValue.modRevision }) ?? true else { return }
            keys[keyValue.key] = keyValue
        }

        mutating func delete(_ key: [UInt8], at revision: Revision) {
            guard let standing = keys[key], standing.modRevision < revision else { return }
            keys[key] = nil
        }

        /// Keys that stand in a listing otherwise than here; none when the listing is older.
        func differences(from listing: Listing) -> Set<[UInt8]> {
            guard listing.revision >= revision else { return [] }
            let listed = Dictionary(uniqueKeysWithValues: listing.keyValues.map { ($0.key, $0) })
            let all = Set(listed.keys).union(keys.keys)
            return all.filter { keys[$0]?.modRevision != listed[$0]?.modRevision }
        }

        /// - Returns: how many of the suspects a second listing confirms.
        mutating func repair(_ suspects: Set<[UInt8]>, by listing: Listing) -> Int {
            let confirmed = differences(from: listing).intersection(suspects)
            let listed = Dictionary(uniqueKeysWithValues: listing.keyValues.map { ($0.key, $0) })
            for key in confirmed { keys[key] = listed[key] }
            drift += confirmed.count
            isChanged = isChanged || !confirmed.isEmpty
            return confirmed.count
        }
    }

    private let client: EtcdClient
    private let range: KeyRange
    private let stateFile: String?
    private let applyDelay: Duration
    private let table = Mutex(Table())

    init(client: EtcdClient, range: KeyRange, stateFile: String?, applyDelay: Duration) {
        self.client = client
        self.range = range
        self.stateFile = stateFile
        self.applyDelay = applyDelay
    }

    func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.follow() }
            group.addTask { try await self.show() }
            group.addTask { try await self.audit() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func follow() async throws {
        while true {
            try Task.checkCancellation()
            do {
                let listing = try await client.list(range)
                reset(to: listing)
                try await client.withWatch(range, from: listing.revision.next) { events in
                    for try await event in events {
                        apply(event)
                        if applyDelay > .zero { try await Task.sleep(for: applyDelay) }
                    }
                }
                return
            } catch let error as EtcdError {
                say("failed \(error)")
                try await Task.sleep(for: .milliseconds(500))
            }
        }
    }

    private func apply(_ event: WatchEvent) {
        switch event {
        case .reset(let listing): reset(to: listing)
        case .changes(let revision, let changes):
            for change in changes {
                switch change {
                case .put(let keyValue):
                    say("put \(revision) \(String(decoding: keyValue.key, as: UTF8.self))")
                    table.withLock { $0.put(keyValue) }
                case .delete(let key, let deleted):
                    say("delete \(revision) \(String(decoding: key, as: UTF8.self))")
                    table.withLock { $0.delete(key, at: deleted) }
                }
            }
            table.withLock {
                $0.revision = revision
                $0.isChanged = true
            }
        }
    }

    private func reset(to listing: Listing) {
        let new = Dictionary(uniqueKeysWithValues: listing.keyValues.map { ($0.key, $0) })
        let (upserts, removes) = table.withLock { table in
            defer {
                table.keys = new
                table.revision = listing.revision
                table.isChanged = true
            }
            let removes = table.keys.keys.count { new[$0] == nil }
            return (new.values.count { table.keys[$0.key] != $0 }, removes)
        }
        say("reset \(listing.revision) upserts=\(upserts) removes=\(removes)")
    }

    // MARK: - Looking for what the watch did not tell

    /// As `legation proxy` does: every minute, ±20 %, and 2 s for the watch to explain a difference.
    private func audit() async throws {
        while true {
            try await Task.sleep(for: .seconds(60) * Double.random(in: 0.8..<1.2))
            guard let first = try? await client.list(range) else { continue }
            let suspects = table.withLock { $0.differences(from: first) }
            guard !suspects.isEmpty else { continue }
            try await Task.sleep(for: .seconds(2))
            guard let second = try? await client.list(range) else { continue }
            let drift = table.withLock { $0.repair(suspects, by: second) }
            if drift > 0 { say("drift \(second.revision) \(drift)") }
        }
    }

    // MARK: - Showing

    private func show() async throws {
        guard let stateFile else { return try await Task.sleep(for: .seconds(1 << 32)) }
        var quiet = 0
        while true {
            try await Task.sleep(for: .milliseconds(10))
            quiet += 1
            guard table.withLock({ $0.isChanged }) || quiet == 100 else { continue }
            quiet = 0
            try Data(text.utf8).write(to: URL(fileURLWithPath: stateFile), options: .atomic)
        }
    }

    private var text: String {
        let (revision, keys, drift) = table.withLock { table in
            table.isChanged = false
            return (table.revision, table.keys, table.drift)
        }
        let knowledge = client.knowledge
        let head =
            "revision=\(revision) reconnects=\(knowledge.reconnects) resyncs=\(knowledge.resyncs) "
            + "relists=\(knowledge.relists) drift=\(drift) stale=\(knowledge.staleSince != nil)\n"
        let rows = keys.values.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { row in
            "\(String(decoding: row.key, as: UTF8.self)) \(row.modRevision) \(String(decoding: row.value, as: UTF8.self))\n"
        }
        return head + rows.joined()
    }
}

/// A line of the log, at once.
func say(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}
