// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// One change of one key.
public enum WatchChange: Hashable, Sendable {
    case put(KeyValue)
    /// A delete carries neither the value nor the lease that were there.
    case delete(key: [UInt8], Revision)

    public var key: [UInt8] {
        switch self {
        case .put(let keyValue): keyValue.key
        case .delete(let key, _): key
        }
    }

    public var modRevision: Revision {
        switch self {
        case .put(let keyValue): keyValue.modRevision
        case .delete(_, let revision): revision
        }
    }
}

/// One step of a watch.
public enum WatchEvent: Hashable, Sendable {
    /// The history between what was delivered and now is gone: this is all that there is.
    case reset(Listing)
    /// Everything that one revision changed in the watched range, never more, never less.
    case changes(Revision, [WatchChange])
}

/// The events of one watch, in the order of history; one consumer. Ends with the client and with the consumer's task,
/// throws `EtcdError` when the server refuses the watch.
///
/// What is not taken waits, up to `EtcdConfiguration.watchQueueLimit` changes; beyond it, the consumer gets a `.reset`
/// when it comes back.
public struct WatchEvents: AsyncSequence, Sendable {
    public typealias Element = WatchEvent

    /// Iterators share what waits: each event goes to one of them.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let queue: WatchQueue

        public mutating func next() async throws -> WatchEvent? { try await queue.next() }
    }

    let queue: WatchQueue

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
