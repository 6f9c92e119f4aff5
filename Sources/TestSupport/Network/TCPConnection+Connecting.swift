// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
package import ServiceModel

extension TCPConnection {
    /// Connects within `limit`, which then bounds every single call.
    /// - Parameter source: the address to dial from; nil for whatever the kernel takes.
    package static func connect(
        to endpoint: Endpoint, from source: IPAddress? = nil, limit: Duration = .seconds(10)
    ) throws -> TCPConnection {
        let (connection, address) = try make(to: endpoint, from: source, limit: limit)
        guard address.withPointer({ Glibc.connect(connection.descriptor, $0, $1) }) == 0 else {
            throw SocketFailure("connect \(endpoint)")
        }
        return connection
    }

    /// Begins to connect and waits for nothing; the first call that needs the connection waits for it.
    package static func begin(to endpoint: Endpoint, limit: Duration = .seconds(10)) throws -> TCPConnection {
        let (connection, address) = try make(to: endpoint, from: nil, limit: limit)
        let descriptor = connection.descriptor
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw SocketFailure("fcntl") }
        guard address.withPointer({ Glibc.connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            throw SocketFailure("connect \(endpoint)")
        }
        guard fcntl(descriptor, F_SETFL, 0) == 0 else { throw SocketFailure("fcntl") }
        return connection
    }

    /// The own end.
    package var localEndpoint: Endpoint? { SocketAddress(of: descriptor)?.endpoint }

    /// The other end; nil before its kernel has accepted the connection, and after the connection's end.
    package var remoteEndpoint: Endpoint? { SocketAddress(peerOf: descriptor)?.endpoint }

    private static func make(
        to endpoint: Endpoint, from source: IPAddress?, limit: Duration
    ) throws -> (TCPConnection, SocketAddress) {
        let address = SocketAddress(endpoint)
        let descriptor = Glibc.socket(address.family, SocketAddress.stream, 0)
        guard descriptor >= 0 else { throw SocketFailure("socket") }
        let connection = TCPConnection(owning: descriptor, limit: limit)
        if let source {
            // The port is then chosen when it connects, of those that are free towards the other end (ip(7)); one that
            // bind(2) has chosen is nobody else's any more.
            var yes: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            guard setsockopt(descriptor, Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, &yes, size) == 0 else {
                throw SocketFailure("IP_BIND_ADDRESS_NO_PORT")
            }
            let wanted = SocketAddress(Endpoint(source, port: 0))
            guard wanted.withPointer({ bind(descriptor, $0, $1) }) == 0 else { throw SocketFailure("bind \(source)") }
        }
        return (connection, address)
    }
}
