// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Synchronization

/// The changes of a range as they were seen, in order.
package final class EtcdChanges: Sendable {
    package struct Change: Sendable {
        package let at: ContinuousClock.Instant
        package let isDelete: Bool
        /// Of a delete: key and revision alone.
        package let key: EtcdKey
    }

    private let seen = Mutex<[Change]>([])

    package var all: [Change] { seen.withLock { $0 } }

    /// The first change that `isWanted`, waited for.
    package func first(
        _ what: String, within limit: Duration = .seconds(20), where isWanted: (Change) -> Bool
    ) async throws -> Change {
        try await waitForValue("\(what); seen: \(all.map(\.key))", within: limit) { all.first(where: isWanted) }
    }

    package func deletion(of key: String, within limit: Duration = .seconds(20)) async throws -> Change {
        try await first("deletion of \(key)", within: limit) { $0.isDelete && $0.key.key == key }
    }

    /// Reads the gateway's answers, one JSON object a line, until the connection ends.
    func read(_ connection: TCPConnection) {
        while let line = try? connection.receiveLine() {
            guard let answer = try? JSONDecoder().decode(WatchAnswer.self, from: Data(line.utf8)) else { continue }
            let now = ContinuousClock.now
            let changes = (answer.result?.events ?? []).map { event in
                Change(at: now, isDelete: event.type == "DELETE", key: event.kv.key)
            }
            seen.withLock { $0 += changes }
        }
    }
}

// MARK: - The gateway's JSON: 64-bit numbers are strings, bytes base64, defaults left out

struct RangeAnswer: Decodable, Sendable {
    let header: Header
    let kvs: [KeyValue]?

    struct Header: Decodable, Sendable {
        let revision: Number
    }
}

struct WatchAnswer: Decodable, Sendable {
    let result: Result?

    struct Result: Decodable, Sendable {
        let events: [Event]?
    }
    struct Event: Decodable, Sendable {
        let type: String?
        let kv: KeyValue
    }
}

struct KeyValue: Decodable, Sendable {
    private enum CodingKeys: String, CodingKey {
        case name = "key"
        case value, lease
        case modRevision = "mod_revision"
        case createRevision = "create_revision"
    }
    private let name: Data
    private let value: Data?
    private let lease: Number?
    private let modRevision: Number?
    private let createRevision: Number?

    var key: EtcdKey {
        EtcdKey(
            key: String(decoding: name, as: UTF8.self), value: String(decoding: value ?? Data(), as: UTF8.self),
            lease: lease?.number ?? 0, modRevision: modRevision?.number ?? 0,
            createRevision: createRevision?.number ?? 0)
    }
}

struct Number: Decodable, Sendable {
    let number: Int64

    init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let number = Int64(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text))
        }
        self.number = number
    }
}
