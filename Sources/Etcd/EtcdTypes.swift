// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A point in etcd's history. Grows by one with every change; 0 is before the first.
public struct Revision: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: Int64

    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    public var next: Revision { Revision(rawValue + 1) }

    public var description: String { String(rawValue) }
}

/// A lease's identity, chosen by the server, never 0.
public struct LeaseID: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: Int64

    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    /// As `etcdctl lease` prints it: hexadecimal without a prefix.
    public var description: String { String(UInt64(bitPattern: rawValue), radix: 16) }
}

/// The keys from `start` (inclusive) to `end` (exclusive) in byte order, or one key.
public struct KeyRange: Hashable, Sendable, CustomStringConvertible {
    public let start: [UInt8]
    /// Empty for one key; a single 0 for "to the last key there is".
    public let end: [UInt8]

    public static func key(_ key: [UInt8]) -> Self { Self(start: key, end: []) }

    public static func key(_ key: String) -> Self { Self.key(Array(key.utf8)) }

    /// Every key that begins with `prefix`; an empty prefix is every key.
    public static func prefix(_ prefix: String) -> Self {
        let start = Array(prefix.utf8)
        var end = start
        while let last = end.popLast() {
            if last < 0xff { return Self(start: start, end: end + [last + 1]) }
        }
        return Self(start: start.isEmpty ? [0] : start, end: [0])
    }

    /// Every key from `start` on that comes before `end` in byte order.
    public static func span(from start: String, before end: String) -> Self {
        Self(start: Array(start.utf8), end: Array(end.utf8))
    }

    public var description: String {
        let text = String(decoding: start, as: UTF8.self)
        return end.isEmpty ? text : "\(text)*"
    }
}

/// A key as it stood at some revision.
public struct KeyValue: Hashable, Sendable {
    public let key: [UInt8]
    /// Empty when only keys were asked for.
    public let value: [UInt8]
    public let createRevision: Revision
    public let modRevision: Revision
    /// Writes since the key was created, from 1.
    public let version: Int64
    public let lease: LeaseID?
}

/// What a range held at one revision.
public struct Listing: Hashable, Sendable {
    public let revision: Revision
    /// In byte order of the keys.
    public let keyValues: [KeyValue]
}

/// What one member says of itself.
public struct MemberStatus: Hashable, Sendable {
    public let clusterID: UInt64
    public let memberID: UInt64
    /// `3.5.16`.
    public let version: String
    /// 0 when the member knows no leader.
    public let leader: UInt64
    /// Whether it still copies the others' state, and answers next to nothing.
    public let isLearner: Bool
    public let revision: Revision
    /// Raft's: grows with each election, never falls within one cluster's life.
    public let term: UInt64
    /// Size of the backend's file, bytes.
    public let databaseBytes: Int64
    /// Alarms and other complaints, in the server's words.
    public let errors: [String]
}

/// What one member has stored, in one number.
public struct MemberHash: Hashable, Sendable {
    public let memberID: UInt64
    public let revision: Revision
    public let hash: UInt32
    /// Hashes of members compacted at different revisions differ.
    public let compactRevision: Revision
}

/// A member as the cluster lists it.
public struct Member: Hashable, Sendable {
    public let id: UInt64
    /// Empty until the member has started for the first time.
    public let name: String
    public let clientURLs: [String]
    public let isLearner: Bool
}
