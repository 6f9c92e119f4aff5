// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
package import ServiceModel

/// Makes listening sockets, one for each worker, that no second process shares unnoticed.
package enum ListeningSockets {
    /// Connections that may wait to be accepted: docs/promises.md, "The relay". The kernel caps it at net.core.somaxconn.
    static let backlog: Int32 = 4096

    /// Binds and listens on `endpoint`, `count` times.
    ///
    /// With SO_REUSEPORT from the start, a second process of the same user would be let in silently. So the first
    /// socket binds and listens without it, which only one process can do (`listen` checks again, under the port's
    /// lock); only then it takes SO_REUSEPORT, and the others join it. SO_REUSEADDR, on all, is what lets a restarted
    /// process bind beside connections in TIME_WAIT.
    ///
    /// - Parameter endpoint: port 0 lets the kernel choose; see `boundEndpoint`.
    /// - Parameter dualStack: whether an IPv6 socket takes IPv4 clients too (`[::]`, V6ONLY off).
    /// - Throws: `EADDRINUSE` naming the endpoint when anyone else listens there.
    package static func bind(
        _ endpoint: Endpoint, dualStack: Bool, count: Int
    ) throws(SyscallError) -> OwnedDescriptors {
        precondition(count >= 1, "at least one listening socket")
        let first = try make(endpoint, dualStack: dualStack)
        try listen(first.number, at: endpoint)
        var sockets = OwnedDescriptors()
        guard count > 1 else {
            sockets.append(first)
            return sockets
        }
        let bound = try boundEndpoint(of: first.number)
        try setReusePort(first.number, at: bound)
        sockets.append(first)
        for _ in 1..<count {
            let other = try make(bound, dualStack: dualStack, reusePort: true)
            try listen(other.number, at: bound)
            sockets.append(other)
        }
        return sockets
    }

    /// Where a listening socket really listens: with the port that the kernel chose.
    package static func boundEndpoint(of descriptor: Int32) throws(SyscallError) -> Endpoint {
        var address = SocketAddress()
        let result = address.fill { pointer, length in
            Syscall.retrying { Int(getsockname(descriptor, pointer, length)) }
        }
        guard result >= 0 else { throw SyscallError(call: "getsockname", number: Int32(-result)) }
        guard let endpoint = address.endpoint else { throw SyscallError(call: "getsockname", number: EAFNOSUPPORT) }
        return endpoint
    }

    private static func make(
        _ endpoint: Endpoint, dualStack: Bool, reusePort: Bool = false
    ) throws(SyscallError) -> OwnedDescriptor {
        let address = SocketAddress(endpoint)
        let number = StreamSocket.make(family: address.family)
        guard number >= 0 else {
            throw SyscallError(call: "socket", subject: "\(endpoint)", number: Int32(-number))
        }
        let socket = OwnedDescriptor(adopting: Int32(number))
        try set(SO_REUSEADDR, level: SOL_SOCKET, to: 1, on: socket.number, at: endpoint)
        if reusePort { try setReusePort(socket.number, at: endpoint) }
        if !endpoint.address.isV4 {
            try set(IPV6_V6ONLY, level: Int32(IPPROTO_IPV6), to: dualStack ? 0 : 1, on: socket.number, at: endpoint)
        }
        let result = address.read { pointer, length in
            Syscall.retrying { Int(Glibc.bind(socket.number, pointer, length)) }
        }
        guard result >= 0 else { throw SyscallError(call: "bind", subject: "\(endpoint)", number: Int32(-result)) }
        return socket
    }

    private static func listen(_ descriptor: Int32, at endpoint: Endpoint) throws(SyscallError) {
        _ = try Syscall.checked("listen", on: "\(endpoint)") { Int(Glibc.listen(descriptor, backlog)) }
    }

    private static func setReusePort(_ descriptor: Int32, at endpoint: Endpoint) throws(SyscallError) {
        try set(SO_REUSEPORT, level: SOL_SOCKET, to: 1, on: descriptor, at: endpoint)
    }

    private static func set(
        _ name: Int32, level: Int32, to value: Int32, on descriptor: Int32, at endpoint: Endpoint
    ) throws(SyscallError) {
        let result = Syscall.setOption(descriptor, level: level, name: name, to: value)
        guard result >= 0 else {
            throw SyscallError(call: "setsockopt", subject: "\(endpoint)", number: Int32(-result))
        }
    }
}
