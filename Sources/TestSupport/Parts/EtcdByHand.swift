// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// A key as etcd's JSON gateway shows it.
package struct EtcdKey: Sendable, Hashable, CustomStringConvertible {
    package let key: String
    package let value: String
    /// 0: none.
    package let lease: Int64
    package let modRevision: Int64
    package let createRevision: Int64

    package init(key: String, value: String, lease: Int64 = 0, modRevision: Int64 = 1, createRevision: Int64 = 1) {
        self.key = key
        self.value = value
        self.lease = lease
        self.modRevision = modRevision
        self.createRevision = createRevision
    }

    package var description: String { "\(key)=\(value)" }

    /// The value as a JSON object.
    package var json: [String: Any] {
        (try? JSONSerialization.jsonObject(with: Data(value.utf8)) as? [String: Any]) ?? [:]
    }
}

/// An etcd that a test changes by hand and looks at, past all code of ours.
package protocol EtcdByHand: Sendable {
    var endpoint: Endpoint { get }
    /// From where it can be reached.
    var place: Network { get }

    /// Runs etcdctl to its end.
    func control(_ arguments: [String]) async throws -> Outcome
}

extension EtcdByHand {
    // MARK: - By hand

    /// Runs etcdctl as an operator would.
    /// - Returns: what it printed. - Throws: when it fails.
    @discardableResult
    package func ctl(_ arguments: String...) async throws -> String {
        let outcome = try await control(arguments)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        return outcome.output
    }

    /// Puts a key with etcdctl, without a lease unless one is given.
    package func put(_ key: String, _ value: String, lease: String? = nil) async throws {
        try await ctl("put", "--lease=\(lease ?? "0")", "--", key, value)
    }

    package func delete(_ key: String) async throws { try await ctl("del", "--", key) }

    /// Puts and deletes (nil) keys, in transactions of at most `batch`: revisions as fast as they come.
    /// - Returns: the revision of the last.
    @discardableResult
    package func write(_ changes: [(key: String, value: String?)], batch: Int = 128) async throws -> Int64 {
        var revision: Int64 = 0
        for start in stride(from: 0, to: changes.count, by: batch) {
            let operations = changes[start..<min(start + batch, changes.count)].map { change in
                guard let value = change.value else {
                    return #"{"request_delete_range":{"key":"\#(base64(change.key))"}}"#
                }
                return #"{"request_put":{"key":"\#(base64(change.key))","value":"\#(base64(value))"}}"#
            }
            // etcd's own time-out of a request is 7 s.
            let answer: RangeAnswer = try await ask(
                "kv/txn", #"{"success":[\#(operations.joined(separator: ","))]}"#, limit: .seconds(10))
            revision = answer.header.revision.number
        }
        return revision
    }

    /// Puts bytes that need not be text.
    package func putBytes(_ key: [UInt8], _ value: [UInt8]) async throws {
        let (key, value) = (Data(key).base64EncodedString(), Data(value).base64EncodedString())
        let _: RangeAnswer = try await ask("kv/put", #"{"key":"\#(key)","value":"\#(value)"}"#, limit: .seconds(10))
    }

    /// - Returns: the id of a lease that nobody keeps alive, as etcdctl prints it.
    package func grantLease(_ seconds: Int) async throws -> String {
        let words = try await ctl("lease", "grant", "\(seconds)").split(separator: " ")
        guard words.count > 1 else { throw Unexpected("lease grant said: \(words)") }
        return String(words[1])
    }

    // MARK: - Looking

    /// Everything under a prefix, in key order.
    package func keys(_ prefix: String) async throws -> [EtcdKey] {
        let answer: RangeAnswer = try await ask(
            "kv/range", #"{"key":"\#(base64(prefix))","range_end":"\#(rangeEnd(prefix))"}"#)
        return (answer.kvs ?? []).map(\.key)
    }

    package func key(_ key: String) async throws -> EtcdKey? {
        let answer: RangeAnswer = try await ask("kv/range", #"{"key":"\#(base64(key))"}"#)
        return answer.kvs?.first?.key
    }

    /// The store's revision.
    package func revision() async throws -> Int64 {
        let answer: RangeAnswer = try await ask("kv/range", #"{"key":"\#(base64("none"))"}"#)
        return answer.header.revision.number
    }

    /// Every change under a prefix from now on, with the time at which it was seen, for as long as `body` runs.
    package func withChanges<Result>(
        _ prefix: String, _ body: (EtcdChanges) async throws -> Result
    ) async throws -> Result {
        let changes = EtcdChanges()
        let request = """
            {"create_request":{"key":"\(base64(prefix))","range_end":"\(rangeEnd(prefix))",\
            "start_revision":"\(try await revision() + 1)"}}
            """
        let endpoint = endpoint
        let connection = try await place.run {
            try HTTPExchange.begin("/v3/watch", request, to: endpoint, limit: .seconds(600))
        }
        startThread { changes.read(connection) }
        defer { connection.abort() }
        return try await body(changes)
    }

    /// What the gateway answers to one call.
    func ask<Answer: Decodable & Sendable>(
        _ call: String, _ body: String, limit: Duration = .seconds(10)
    ) async throws -> Answer {
        let endpoint = endpoint
        return try await place.run {
            let answer = try HTTPExchange.post("/v3/\(call)", body, to: endpoint, limit: limit)
            return try JSONDecoder().decode(Answer.self, from: Data(answer))
        }
    }

    private func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// The first key after all that begin with the prefix.
    private func rangeEnd(_ prefix: String) -> String {
        var bytes = Array(prefix.utf8)
        bytes[bytes.count - 1] += 1
        return Data(bytes).base64EncodedString()
    }
}
