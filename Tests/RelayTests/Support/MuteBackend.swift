// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel

@testable import Relay

/// A service that is there and never accepts: its backlog is full, so that the kernel answers no SYN.
final class MuteBackend: Sendable {
    let endpoint: Endpoint
    private let sockets: [TestSocket]

    init() throws {
        let listener = try ListeningSockets.bind(Endpoint(.loopbackV4, port: 0), dualStack: false, count: 1)
        endpoint = try ListeningSockets.boundEndpoint(of: listener.numbers[0])
        let number = listener.relinquish()[0]
        guard listen(number, 0) == 0 else { throw SyscallError(call: "listen", number: errno) }
        var sockets = [TestSocket(adopting: number)]
        let address = SocketAddress(endpoint)
        for _ in 0..<4 {
            let client = StreamSocket.make(family: AF_INET)
            guard client >= 0 else { throw SyscallError(call: "socket", number: Int32(-client)) }
            _ = StreamSocket.connect(Int32(client), to: address)
            sockets.append(TestSocket(adopting: Int32(client)))
        }
        self.sockets = sockets
    }
}
