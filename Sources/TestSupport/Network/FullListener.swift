// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
package import ServiceModel

/// A service that is there and never accepts: its queue of connections is full, so that the kernel answers no SYN.
package final class FullListener: Sendable {
    package let endpoint: Endpoint
    private let listener: Int32
    private let waiting: [TCPConnection]

    package init(on address: IPAddress = .loopbackV4) throws {
        let wanted = SocketAddress(Endpoint(address, port: 0))
        let listener = Glibc.socket(wanted.family, SocketAddress.stream, 0)
        guard listener >= 0 else { throw SocketFailure("socket") }
        // A queue of 0 takes one (listen(2) in Linux: full when there are more than the backlog).
        guard wanted.withPointer({ bind(listener, $0, $1) }) == 0, listen(listener, 0) == 0,
            let bound = SocketAddress(of: listener)?.endpoint
        else {
            let failure = SocketFailure("listen on \(address)")
            Glibc.close(listener)
            throw failure
        }
        self.listener = listener
        endpoint = bound
        waiting = try (0..<4).map { _ in try TCPConnection.begin(to: bound) }
    }

    deinit { Glibc.close(listener) }

    /// How many the kernel has let in.
    package var queued: Int { waiting.count { $0.remoteEndpoint != nil } }
}
