// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What went wrong between us and the engine.
package struct DockerError: Error, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable {
        /// The socket cannot be opened for want of permission (EACCES, EPERM): an operator must act.
        case forbidden
        /// Nobody answers, or no longer: it may come back.
        case unreachable
        /// No answer in time.
        case timedOut
        /// It answers, but refuses (status 4xx or 5xx).
        case refused
        /// What was asked about is not there (status 404).
        case notFound
        /// Its API is older than the oldest that is supported.
        case tooOld
        /// The answer is not what the published description of the API says.
        case malformed
        /// The caller was cancelled.
        case cancelled
    }

    package let code: Code
    /// What failed, on what, with which value.
    package let message: String
    package let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { cause.map { "\(message): \($0)" } ?? message }
}
