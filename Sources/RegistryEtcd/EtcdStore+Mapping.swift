// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Etcd
internal import Registry

extension KeyRange {
    init(_ range: RegistryRange) {
        switch range {
        case .key(let key): self = .key(key)
        case .prefix(let prefix): self = .prefix(prefix)
        case .span(let first, let end): self = .span(from: first, before: end)
        }
    }
}

extension RegistryListing {
    init(_ listing: Listing) {
        self.init(revision: listing.revision.rawValue, entries: listing.keyValues.map { RegistryEntry($0) })
    }
}

extension RegistryEntry {
    init(_ keyValue: KeyValue) {
        self.init(
            key: String(decoding: keyValue.key, as: UTF8.self), value: keyValue.value,
            modRevision: keyValue.modRevision.rawValue, lease: keyValue.lease.map { RegistryLease($0.rawValue) })
    }
}

extension RegistryEvents {
    init(_ events: WatchEvents) {
        self.init(
            AsyncThrowingStream {
                // Iterators of a stream share its buffer, so a new one each time loses nothing and need not be kept.
                var iterator = events.makeAsyncIterator()
                do {
                    return try await iterator.next().map { RegistryEvent($0) }
                } catch let error as EtcdError {
                    throw RegistryError(error)
                }
            })
    }
}

extension RegistryEvent {
    init(_ event: WatchEvent) {
        switch event {
        case .reset(let listing): self = .reset(RegistryListing(listing))
        case .changes(let revision, let changes):
            let changes = changes.map { change -> RegistryChange in
                switch change {
                case .put(let keyValue): .upsert(RegistryEntry(keyValue))
                case .delete(let key, _): .remove(key: String(decoding: key, as: UTF8.self))
                }
            }
            // etcd tells them in the order of the transaction's operations.
            self = .changes(revision: revision.rawValue, changes.sorted { $0.key < $1.key })
        }
    }
}

extension LeaseEnd {
    init(_ end: OwnerEnd) {
        switch end {
        case .revoke: self = .revoke
        case .expire: self = .expire
        }
    }
}

extension RegistryWrite {
    var comparison: Comparison? {
        let key = Array(key.utf8)
        return switch condition {
        case .absent: .isAbsent(key)
        case .unchanged(let revision): .modRevision(of: key, equals: Revision(revision))
        case .none: nil
        }
    }

    var etcdOperation: Etcd.Operation {
        switch operation {
        case .put(let value, let lease):
            .put(key: Array(key.utf8), value: value, lease: lease.map { LeaseID($0.id) })
        case .delete: .delete(.key(key))
        }
    }
}

extension RegistryError {
    init(_ error: EtcdError) {
        let code: Code =
            switch error.code {
            case .permissionDenied, .unauthenticated: .permissionDenied
            case .outOfSpace: .outOfSpace
            case .leaseNotFound: .leaseNotFound
            case .compacted: .compacted
            case .cancelled: .cancelled
            case .invalidArgument, .configuration: .invalid
            default: .unavailable
            }
        self.init(code, error.message, key: error.key, revision: error.revision?.rawValue)
    }
}
