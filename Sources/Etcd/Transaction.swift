// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials

/// A condition of a transaction: how something of a key compares with a given value.
public struct Comparison: Hashable, Sendable {
    public enum Target: Hashable, Sendable {
        /// Of the last write; 0 when the key does not exist.
        case modRevision(Revision)
        /// Of the write that created the key; 0 when it does not exist.
        case createRevision(Revision)
        /// Writes since the key was created; 0 when it does not exist.
        case version(Int64)
        case value([UInt8])
        /// Nil: none.
        case lease(LeaseID?)
    }

    public enum Relation: Hashable, Sendable {
        case equal, notEqual, less, greater
    }

    public let key: [UInt8]
    public let target: Target
    public let relation: Relation

    /// What the key has stands in `relation` to what `target` says.
    public init(of key: [UInt8], _ relation: Relation, _ target: Target) {
        self.key = key
        self.target = target
        self.relation = relation
    }

    /// The key was last written at exactly `revision`.
    public static func modRevision(of key: [UInt8], equals revision: Revision) -> Self {
        Self(of: key, .equal, .modRevision(revision))
    }

    /// The key does not exist.
    public static func isAbsent(_ key: [UInt8]) -> Self { Self(of: key, .equal, .createRevision(Revision(0))) }
}

/// One step of a transaction.
public enum Operation: Hashable, Sendable {
    case put(key: [UInt8], value: [UInt8], lease: LeaseID?)
    case delete(KeyRange)
    /// Reads; what the steps before it wrote is seen.
    case get(KeyRange)
}

/// Which branch of a transaction was carried out, what its steps found, and the revision at which that was so (its own,
/// when it wrote).
public struct TransactionResult: Hashable, Sendable {
    /// What one step did.
    public enum Step: Hashable, Sendable {
        case put
        /// How many keys there were.
        case deleted(Int64)
        case got([KeyValue])
    }

    /// Whether all comparisons held.
    public let succeeded: Bool
    public let revision: Revision
    /// One for each operation of the branch that was carried out.
    public let steps: [Step]
}

// MARK: - On the wire

extension Etcdserverpb_Compare {
    init(_ comparison: Comparison) {
        self.init()
        key = Data(comparison.key)
        result =
            switch comparison.relation {
            case .equal: .equal
            case .notEqual: .notEqual
            case .less: .less
            case .greater: .greater
            }
        switch comparison.target {
        case .modRevision(let revision):
            target = .mod
            modRevision = revision.rawValue
        case .createRevision(let revision):
            target = .create
            createRevision = revision.rawValue
        case .version(let number):
            target = .version
            version = number
        case .value(let bytes):
            target = .value
            value = Data(bytes)
        case .lease(let id):
            target = .lease
            lease = id?.rawValue ?? 0
        }
    }
}

extension Etcdserverpb_RequestOp {
    init(_ operation: Operation) {
        self.init()
        switch operation {
        case .put(let key, let value, let lease):
            requestPut.key = Data(key)
            requestPut.value = Data(value)
            requestPut.lease = lease?.rawValue ?? 0
        case .delete(let range):
            requestDeleteRange.key = Data(range.start)
            requestDeleteRange.rangeEnd = Data(range.end)
        case .get(let range):
            requestRange.key = Data(range.start)
            requestRange.rangeEnd = Data(range.end)
        }
    }
}

extension TransactionResult.Step {
    init(_ message: Etcdserverpb_ResponseOp) {
        switch message.response {
        case .responseDeleteRange(let reply): self = .deleted(reply.deleted)
        case .responseRange(let reply): self = .got(reply.kvs.map { KeyValue($0) })
        case .responsePut, nil: self = .put
        }
    }
}

extension Operation {
    /// For the text of an error.
    var keyText: String {
        switch self {
        case .put(let key, _, _): String(decoding: key, as: UTF8.self)
        case .delete(let range), .get(let range): range.description
        }
    }
}
