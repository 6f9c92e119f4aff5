// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import GRPCCore

/// Why etcd did not do what it was asked.
public struct EtcdError: Error, Sendable, CustomStringConvertible {
    /// What kind of failure; new kinds may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        enum Kind: String, Sendable {
            case unavailable, timedOut, permissionDenied, unauthenticated, outOfSpace, leaseNotFound, compacted
            case invalidArgument, dataLoss, cancelled, configuration, other
        }
        let kind: Kind

        /// No connection, no leader, or the server is stopping: another endpoint or a later try may do.
        public static let unavailable = Code(kind: .unavailable)
        /// No answer within the call's deadline. A write may have happened all the same.
        public static let timedOut = Code(kind: .timedOut)
        /// etcd's RBAC refused it.
        public static let permissionDenied = Code(kind: .permissionDenied)
        /// The token or user is not, or no longer, good.
        public static let unauthenticated = Code(kind: .unauthenticated)
        /// NOSPACE: growth is refused, keepalives, deletes and revokes still work.
        public static let outOfSpace = Code(kind: .outOfSpace)
        public static let leaseNotFound = Code(kind: .leaseNotFound)
        /// The revision asked for is compacted, or not yet there.
        public static let compacted = Code(kind: .compacted)
        public static let invalidArgument = Code(kind: .invalidArgument)
        /// The member found itself corrupt.
        public static let dataLoss = Code(kind: .dataLoss)
        public static let cancelled = Code(kind: .cancelled)
        /// What the caller configured cannot work (a certificate that cannot be read, no endpoint).
        public static let configuration = Code(kind: .configuration)
        public static let other = Code(kind: .other)

        public var description: String { kind.rawValue }
    }

    public let code: Code
    /// What failed, on what, with which value.
    public let message: String
    public let cause: (any Error)?
    public let key: String?
    public let revision: Revision?

    public init(
        _ code: Code, _ message: String, cause: (any Error)? = nil, key: String? = nil, revision: Revision? = nil
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.key = key
        self.revision = revision
    }

    public var description: String {
        var text = "\(code): \(message)"
        if let key { text += " [key \(key)]" }
        if let revision { text += " [revision \(revision)]" }
        return text
    }

    /// Whether trying again, here or at another endpoint, can help without anybody mending anything.
    public var isTransient: Bool { code == .unavailable || code == .timedOut }

    /// Whether the member that answered has lost its quorum, so that another one should be asked.
    var saysNoLeader: Bool { code == .unavailable && message.contains("no leader") }

    /// ErrGRPCAuthNotEnabled.
    var saysAuthenticationIsOff: Bool { message.contains("authentication is not enabled") }

    /// ErrGRPCAuthOldRevision: users or roles changed between the call's check and its application.
    var saysOldAuthRevision: Bool { message.contains("revision of auth store is old") }
}

extension EtcdError {
    /// Translates what gRPC threw. The table of etcd's codes and texts is api/v3rpc/rpctypes/error.go.
    init(_ error: any Error, during what: String, key: String? = nil, revision: Revision? = nil) {
        switch error {
        case let error as EtcdError:
            self = error
        case let error as RPCError:
            self.init(Self.code(of: error), "\(what): \(error.message)", cause: error, key: key, revision: revision)
        case is CancellationError:
            self.init(.cancelled, "\(what): cancelled", cause: error, key: key, revision: revision)
        default:
            self.init(.unavailable, "\(what): \(error)", cause: error, key: key, revision: revision)
        }
    }

    private static func code(of error: RPCError) -> Code {
        switch error.code {
        case .unavailable, .internalError, .aborted: .unavailable
        case .deadlineExceeded: .timedOut
        case .permissionDenied: .permissionDenied
        case .unauthenticated: .unauthenticated
        case .resourceExhausted where error.message.contains("database space exceeded"): .outOfSpace
        // Ours: the transport's limit for what it takes. The same answer would come again.
        case .resourceExhausted where error.message.contains("maximum payload size"): .other
        // "too many requests": the server sheds load.
        case .resourceExhausted: .unavailable
        case .notFound where error.message.contains("lease not found"): .leaseNotFound
        case .outOfRange: .compacted
        // How etcd calls a client without a user where one is needed (ErrGRPCUserEmpty).
        case .invalidArgument where error.message.contains("user name is empty"): .unauthenticated
        // Users or roles have changed since the token was given (ErrGRPCAuthOldRevision).
        case .invalidArgument where error.message.contains("revision of auth store is old"): .unauthenticated
        case .invalidArgument, .failedPrecondition: .invalidArgument
        case .dataLoss: .dataLoss
        // gRPC's own deadline cancels the call and then says so by this code.
        case .cancelled: .cancelled
        default: .other
        }
    }
}
