// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport

/// A connection through a proxy that was open before something happened, and the `Backend.naming` that serves it.
struct Live: Sendable {
    let name: String
    private let connection: TCPConnection

    init(_ endpoint: Endpoint) async throws {
        (name, connection) = try await blocking {
            let connection = try TCPConnection.connect(to: endpoint, limit: .seconds(60))
            guard let name = try connection.receiveLine() else { throw Unexpected("nobody serves") }
            return (name, connection)
        }
    }

    func goesOn() async throws -> Bool {
        try await blocking { [connection] in try connection.exchange("still there") == "still there" }
    }

    /// Waits for the end.
    /// - Returns: whether it was a reset; false for an end in order.
    func isReset() async throws -> Bool {
        try await blocking { [connection] in
            do {
                _ = try connection.receiveToEnd()
                return false
            } catch let failure as SocketFailure where failure.isReset {
                return true
            }
        }
    }
}
