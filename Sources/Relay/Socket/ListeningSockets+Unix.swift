// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
package import ServiceModel

extension ListeningSockets {
    /// Binds and listens on a Unix socket, which all workers accept from.
    ///
    /// A socket file that a process has left behind is in nobody's use, and taken away first; one that somebody listens on
    /// is an error. The file stays when the descriptor is closed: a process that takes it over may listen on it by then.
    ///
    /// - Parameter mode: who may connect (unix(7), "Pathname socket ownership and permissions"): those who may write to it.
    /// - Throws: `EADDRINUSE` naming the path when anyone listens there, or another kind of file is there.
    package static func bind(_ path: UnixPath, mode: UInt32 = 0o600) throws(SyscallError) -> OwnedDescriptors {
        let address = SocketAddress(path)
        let socket = try unixSocket(path)
        var result = bind(socket.number, to: address)
        if result == -Int(EADDRINUSE), try isLeftBehind(address, path) {
            unlink(path.description)
            result = bind(socket.number, to: address)
        }
        guard result >= 0 else { throw SyscallError(call: "bind", subject: "unix:\(path)", number: Int32(-result)) }
        // Before it listens, so that nobody is let in by a mode that was never meant.
        _ = try Syscall.checked("chmod", on: "unix:\(path)") { Int(chmod(path.description, mode)) }
        _ = try Syscall.checked("listen", on: "unix:\(path)") { Int(Glibc.listen(socket.number, backlog)) }
        var sockets = OwnedDescriptors()
        sockets.append(socket)
        return sockets
    }

    private static func unixSocket(_ path: UnixPath) throws(SyscallError) -> OwnedDescriptor {
        let number = StreamSocket.make(family: AF_UNIX)
        guard number >= 0 else {
            throw SyscallError(call: "socket", subject: "unix:\(path)", number: Int32(-number))
        }
        return OwnedDescriptor(adopting: Int32(number))
    }

    private static func bind(_ descriptor: Int32, to address: SocketAddress) -> Int {
        address.read { pointer, length in Syscall.retrying { Int(Glibc.bind(descriptor, pointer, length)) } }
    }

    /// Whether `path` is a socket that nobody listens on: a connect to any other file is refused as well, so its kind is
    /// asked for too.
    private static func isLeftBehind(_ address: SocketAddress, _ path: UnixPath) throws(SyscallError) -> Bool {
        let probe = try unixSocket(path)
        let answer = StreamSocket.connect(probe.number, to: address)
        return answer == -Int(ECONNREFUSED) && clinux_is_socket(path.description)
    }
}
