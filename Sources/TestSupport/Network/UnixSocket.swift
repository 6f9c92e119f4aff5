// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

/// Sockets in the file system, which reach across network namespaces.
enum UnixSocket {
    /// - Throws: when the path is longer than the kernel takes (107 bytes), or the call fails.
    static func connect(to path: String, limit: Duration) throws -> TCPConnection {
        let connection = TCPConnection(owning: try make(), limit: limit)
        try withAddress(of: path) { address, length in
            guard Glibc.connect(connection.descriptor, address, length) == 0 else {
                throw SocketFailure("connect \(path)")
            }
        }
        return connection
    }

    /// - Returns: a listening descriptor, which the caller owns.
    static func listen(at path: String) throws -> Int32 {
        let descriptor = try make()
        do {
            try withAddress(of: path) { address, length in
                guard bind(descriptor, address, length) == 0, Glibc.listen(descriptor, 128) == 0 else {
                    throw SocketFailure("listen \(path)")
                }
            }
        } catch {
            close(descriptor)
            throw error
        }
        return descriptor
    }

    private static func make() throws -> Int32 {
        let descriptor = socket(AF_UNIX, SocketAddress.stream, 0)
        guard descriptor >= 0 else { throw SocketFailure("socket") }
        return descriptor
    }

    private static func withAddress(
        of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void
    ) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room else { throw SocketFailure("socket \(path)", ENAMETOOLONG) }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        try withUnsafePointer(to: address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                try body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
