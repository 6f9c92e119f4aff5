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

    /// Whether a learner answered, which serves next to nothing (ErrGRPCNotSupportedForLearner).
    var saysLearner: Bool { message.contains("not supported for learner") }

    /// Whether an answer could not be read, most likely since it was over `EtcdConfiguration.maximumMessageBytes`. The same
    /// question would have it again.
    var saysUnreadable: Bool { code == .other && message.contains(Self.unreadable) }

    /// How the transport says that (grpc-swift-nio-transport 2.9.2, GRPCStreamStateMachine): as an internal error, on a
    /// stream that we have not closed without the reason.
    private static let unreadable = "Failed to decode message"

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

    /// As `init`, for a call with a deadline: gRPC's own cancels it, which must not look as if the caller had.
    static func ofCall(
        _ error: any Error, _ what: String, key: String? = nil, to endpoint: EtcdEndpoint
    ) -> EtcdError {
        let failure = EtcdError(error, during: what, key: key)
        guard failure.code == .cancelled, !Task.isCancelled else { return failure }
        return EtcdError(.timedOut, "\(what): no answer from \(endpoint) in time", cause: error, key: key)
    }

    private static func code(of error: RPCError) -> Code {
        switch error.code {
        case .internalError where error.message.contains(unreadable): .other
        case .unavailable, .internalError, .aborted: .unavailable
        case .deadlineExceeded: .timedOut
        case .permissionDenied: .permissionDenied
        case .unauthenticated: .unauthenticated
        case .resourceExhausted where error.message.contains("database space exceeded"): .outOfSpace
        // "too many requests": the server sheds load.
        case .resourceExhausted: .unavailable
        case .notFound where error.message.contains("lease not found"): .leaseNotFound
        case .outOfRange: .compacted
        // How etcd calls a client without a user where one is needed (ErrGRPCUserEmpty).
        case .invalidArgument where error.message.contains("user name is empty"): .unauthenticated
        // Users or roles have changed since the token was given (ErrGRPCAuthOldRevision).
        case .invalidArgument where error.message.contains("revision of auth store is old"): .unauthenticated
        // What 3.6 says of it; before, it is "unavailable".
        case .failedPrecondition where error.message.contains("not supported for learner"): .unavailable
        case .invalidArgument, .failedPrecondition: .invalidArgument
        case .dataLoss: .dataLoss
        // gRPC's own deadline cancels the call and then says so by this code.
        case .cancelled: .cancelled
        default: .other
        }
    }
}
