// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import AsyncHTTPClient
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

extension DockerError {
    /// What an error of the HTTP client or the network means.
    /// - Parameter what: what was asked, and of whom.
    init(asking what: String, _ error: any Error) {
        switch error {
        case let error as DockerError: self = error
        case is CancellationError: self.init(.cancelled, "asking \(what): cancelled")
        case let error as HTTPClientError where error == .cancelled: self.init(.cancelled, "asking \(what): cancelled")
        case let error as IOError where error.errnoCode == EACCES || error.errnoCode == EPERM:
            self.init(.forbidden, "asking \(what): permission denied", cause: error)
        case let error as HTTPClientError where Self.isTimeout(error):
            self.init(.timedOut, "asking \(what): no answer in time")
        case is NIOTooManyBytesError: self.init(.malformed, "asking \(what): the answer is too long")
        case let error as HTTPParserError where error == .invalidEOFState:
            self.init(.unreachable, "asking \(what): the answer breaks off", cause: error)
        case is ChannelError, is IOError, is NIOPosix.NIOConnectionError, is HTTPClientError:
            self.init(.unreachable, "asking \(what)", cause: error)
        default: self.init(.malformed, "asking \(what)", cause: error)
        }
    }

    private static func isTimeout(_ error: HTTPClientError) -> Bool {
        error == .deadlineExceeded || error == .connectTimeout || error == .readTimeout
            || error == .getConnectionFromPoolTimeout
    }
}
