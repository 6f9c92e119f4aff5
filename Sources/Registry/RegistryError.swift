// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Why the store did not do what it was asked.
package struct RegistryError: Error, Hashable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// Not reachable, no leader or no answer in time: try again. A write may have happened all the same.
        case unavailable
        /// The store's user may not do this.
        case permissionDenied
        /// The store refuses growth (etcd's NOSPACE): leases live on, so keep them.
        case outOfSpace
        /// The lease that a write names is gone.
        case leaseNotFound
        /// The revision asked for is no longer in history.
        case compacted
        /// Not a request that the store could ever grant; a bug of ours or a limit of its.
        case invalid
        /// The caller's task was cancelled.
        case cancelled

        /// Whether the same request can succeed later without anybody mending anything.
        package var isFinal: Bool {
            switch self {
            case .unavailable, .outOfSpace, .permissionDenied: false
            case .leaseNotFound, .compacted, .invalid, .cancelled: true
            }
        }
    }

    package let code: Code
    /// What failed, on what, with which value.
    package let message: String
    package let key: String?
    package let revision: Int64?

    package init(_ code: Code, _ message: String, key: String? = nil, revision: Int64? = nil) {
        self.code = code
        self.message = message
        self.key = key
        self.revision = revision
    }

    package var description: String {
        var text = "\(code): \(message)"
        if let key { text += " [key \(key)]" }
        if let revision { text += " [revision \(revision)]" }
        return text
    }
}
