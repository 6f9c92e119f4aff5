// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

/// A running `etcd-mirror`: what the client makes of a cluster, seen from outside.
package final class MirrorProcess: Sendable {
    /// A key of its table, or of etcd's.
    package struct Entry: Sendable, Hashable, CustomStringConvertible {
        package let key: String
        package let modRevision: Int64
        package let value: String

        package init(key: String, modRevision: Int64, value: String) {
            self.key = key
            self.modRevision = modRevision
            self.value = value
        }

        package var description: String { "\(key)@\(modRevision)" }
    }

    /// What its state file says.
    package struct State: Sendable {
        package let revision: Int64
        package let reconnects: Int
        package let resyncs: Int
        package let relists: Int
        package let isStale: Bool
        package let entries: [Entry]
    }

    /// A line `reset REVISION upserts=N removes=M` of its log.
    package struct Reset: Sendable, Hashable {
        package let revision: Int64
        package let upserts: Int
        package let removes: Int
    }

    package let process: ProcessUnderTest
    package let prefix: String
    private let file: String

    private init(_ process: ProcessUnderTest, prefix: String, file: String) {
        self.process = process
        self.prefix = prefix
        self.file = file
    }

    // MARK: - Starting

    static func command(_ prefix: String, endpoints: String, file: String, _ more: [String]) -> Command {
        Command(
            "\(PackageRoot.path)/.build/debug/etcd-mirror",
            ["--endpoints", endpoints, "--prefix", prefix, "--state", file] + more)
    }

    static func started(
        _ process: ProcessUnderTest, prefix: String, file: String, awaitListing: Bool = true
    ) async throws -> MirrorProcess {
        let mirror = MirrorProcess(process, prefix: prefix, file: file)
        guard awaitListing else { return mirror }
        try await waitFor("the first listing of \(process)") {
            if let status = process.exitStatus { throw MissingPart("\(status): \(process.lastLines())") }
            return try mirror.state().revision > 0
        }
        return mirror
    }

    // MARK: - What it shows

    package func state() throws -> State {
        // By Foundation: a split by characters takes a second for a megabyte in a debug build.
        let lines = try String(contentsOfFile: file, encoding: .utf8).components(separatedBy: "\n").filter {
            !$0.isEmpty
        }
        guard let head = lines.first.map({ LogFields($0) }),
            let revision = head["revision"].flatMap({ Int64($0) })
        else { throw Unexpected("\(file) says: \(lines.first ?? "nothing")") }
        let entries = lines.dropFirst().map { line in
            let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            return Entry(
                key: String(words[0]), modRevision: words.count > 1 ? Int64(words[1]) ?? -1 : -1,
                value: words.count > 2 ? String(words[2]) : "")
        }
        func count(_ name: String) -> Int { head[name].flatMap { Int($0) } ?? -1 }
        return State(
            revision: revision, reconnects: count("reconnects"), resyncs: count("resyncs"), relists: count("relists"),
            isStale: head["stale"] == "true", entries: entries)
    }

    /// The words of each line of its log that begins with `verb`, in order.
    private func words(of verb: String) -> [[Substring]] {
        process.lines.filter { !$0.isError && $0.text.hasPrefix("\(verb) ") }.map { $0.text.split(separator: " ") }
    }

    /// The listings that it took over, the first included.
    package var resets: [Reset] {
        words(of: "reset").compactMap { words in
            guard words.count == 4, let revision = Int64(words[1]), let upserts = Int(words[2].dropFirst(8)),
                let removes = Int(words[3].dropFirst(8))
            else { return nil }
            return Reset(revision: revision, upserts: upserts, removes: removes)
        }
    }

    /// The revisions of the puts below a prefix that its watch told it of, in order, once for each key.
    package func revisionsOfPuts(below prefix: String) -> [Int64] {
        words(of: "put").filter { $0.count == 3 && $0[2].hasPrefix(prefix) }.compactMap { Int64($0[1]) }
    }

    /// Waits until its table is what `etcdctl get --prefix` shows by a member: key, mod revision and value.
    /// - Parameter start: when the last change was made that it has to take over.
    @discardableResult
    package func converges(
        _ what: String, with etcd: some EtcdByHand, within promise: Duration,
        since start: ContinuousClock.Instant = .now
    ) async throws -> Duration {
        var expected: [Entry]?
        var asked = ContinuousClock.now
        return try await eventually("\(what): the mirror equals etcd", within: promise, since: start) {
            // Asked again now and then: leases end, and keys with them.
            if expected == nil || ContinuousClock.now - asked > .seconds(1) {
                expected = try await etcd.table(prefix)
                asked = .now
            }
            let wanted = expected ?? []
            let shown = try state().entries
            guard shown == wanted else {
                let more = Array(Set(shown).subtracting(wanted).prefix(3))
                let less = Array(Set(wanted).subtracting(shown).prefix(3))
                throw Unexpected("\(shown.count) keys for \(wanted.count); too many \(more), missing \(less)")
            }
            return true
        }
    }
}
