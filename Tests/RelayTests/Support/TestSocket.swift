// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import CLinux
import Glibc
import ServiceModel
import Synchronization

@testable import Relay

/// How a stream of bytes came to its end.
enum StreamEnd: Equatable {
    case finished
    case reset
}

/// A blocking socket whose waits end after 20 s with EAGAIN.
final class TestSocket: Sendable {
    let descriptor: Int32
    private let isOpen = Atomic(true)

    init(adopting descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    deinit { close() }

    convenience init(connectedTo endpoint: Endpoint) throws { try self.init(connectedTo: .network(endpoint)) }

    convenience init(connectedTo target: InstanceAddress) throws {
        let address = SocketAddress(target)
        let number = socket(address.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard number >= 0 else { throw SyscallError(call: "socket", number: errno) }
        self.init(adopting: number)
        let result = address.read { Glibc.connect(number, $0, $1) }
        guard result == 0 else { throw SyscallError(call: "connect", subject: "\(target)", number: errno) }
    }

    /// Two Unix sockets that are connected to each other.
    static func pair() throws -> (TestSocket, TestSocket) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw SyscallError(call: "socketpair", number: errno)
        }
        return (TestSocket(adopting: ends[0]), TestSocket(adopting: ends[1]))
    }

    func close() {
        if isOpen.exchange(false, ordering: .relaxed) { Glibc.close(descriptor) }
    }

    /// Closes with a reset.
    func reset() {
        StreamSocket.resetOnClose(descriptor)
        close()
    }

    func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    func send(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try send($0) }
    }

    /// With the urgent pointer behind it (RFC 9293, 3.8.5).
    func sendUrgently(_ byte: UInt8) throws {
        var byte = byte
        guard Glibc.send(descriptor, &byte, 1, Int32(MSG_OOB)) == 1 else {
            throw SyscallError(call: "send", number: errno)
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: UnsafeRawBufferPointer) throws {
        var sent = 0
        while sent < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[sent...])
            let result = Glibc.send(descriptor, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            guard result >= 0 else { throw SyscallError(call: "send", number: errno) }
            sent += result
        }
    }

    /// Takes what there is, at most `limit` bytes. - Returns: empty at the end of the stream.
    func receive(atMost limit: Int = 65_536) throws -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let result = recv(descriptor, buffer.baseAddress, limit, 0)
            failure = result < 0 ? errno : 0
            count = max(0, result)
        }
        guard failure == 0 else { throw SyscallError(call: "recv", number: failure) }
        return bytes
    }

    func receive(exactly count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = try receive(atMost: count - bytes.count)
            guard !more.isEmpty else { throw TestFailure("ended after \(bytes.count) of \(count) bytes") }
            bytes += more
        }
        return bytes
    }

    func receiveText(_ count: Int) throws -> String { String(decoding: try receive(exactly: count), as: UTF8.self) }

    /// Everything up to the end, and which end it was.
    func receiveAll() throws -> (bytes: [UInt8], end: StreamEnd) {
        var bytes: [UInt8] = []
        do {
            while true {
                let more = try receive()
                if more.isEmpty { return (bytes, .finished) }
                bytes += more
            }
        } catch let error as SyscallError where error.number == ECONNRESET {
            return (bytes, .reset)
        }
    }

    /// How the stream ends when nothing is expected before.
    func end() throws -> StreamEnd {
        let (bytes, end) = try receiveAll()
        guard bytes.isEmpty else { throw TestFailure("\(bytes.count) bytes that were not expected") }
        return end
    }

    /// Makes the kernel keep little for this socket, so that a peer is stuck soon.
    func shrinkBuffers() { setBuffers(4096) }

    /// - Parameter size: bytes that the kernel keeps each way; it doubles them for its own needs.
    func setBuffers(_ size: Int32) {
        var size = size
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    /// From now on nothing that is sent to this socket arrives, as when its host has lost power: no answer to anything.
    func vanish() throws {
        // One instruction of the packet filter, "keep 0 bytes" (BPF_RET | BPF_K), behind its count: struct sock_fprog.
        let instruction = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        defer { instruction.deallocate() }
        instruction.initialize(to: 0x06)
        var program: (UInt64, UnsafeMutablePointer<UInt64>) = (1, instruction)
        let size = socklen_t(MemoryLayout.size(ofValue: program))
        guard setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, size) == 0 else {
            throw SyscallError(call: "setsockopt", subject: "SO_ATTACH_FILTER", number: errno)
        }
    }

    /// Whether it was reset, or both sides have ended: told without taking the error.
    var isOver: Bool {
        var waiting = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&waiting, 1, 0) == 1 && waiting.revents & Int16(POLLERR | POLLHUP) != 0
    }

    func setBlocking(_ isBlocking: Bool) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, isBlocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK)
    }
}

/// A service instance: a listening socket on loopback, or a Unix socket, whose accepts block at most 20 s.
final class TestBackend: Sendable {
    let address: InstanceAddress
    private let listener: TestSocket

    init(at endpoint: Endpoint = Endpoint(.loopbackV4, port: 0)) throws {
        let sockets = try ListeningSockets.bind(endpoint, dualStack: false, count: 1)
        address = .network(try ListeningSockets.boundEndpoint(of: sockets.numbers[0]))
        listener = TestSocket(adopting: sockets.relinquish()[0])
        listener.setBlocking(true)
    }

    init(at path: UnixPath) throws {
        address = .unix(path)
        listener = TestSocket(adopting: try ListeningSockets.bind(path).relinquish()[0])
        listener.setBlocking(true)
    }

    var endpoint: Endpoint {
        guard case .network(let endpoint) = address else { preconditionFailure("a Unix socket has no endpoint") }
        return endpoint
    }

    func accept() throws -> TestSocket {
        var peer = SocketAddress()
        let flags = Int32(SOCK_CLOEXEC.rawValue)
        let number = peer.fill { clinux_accept4(listener.descriptor, $0, $1, flags) }
        guard number >= 0 else { throw SyscallError(call: "accept4", number: errno) }
        return TestSocket(adopting: number)
    }

    /// Whether someone waits to be accepted.
    func hasClient(within limit: Duration = .zero) -> Bool {
        var waiting = pollfd(fd: listener.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, Int32(limit.nanoseconds / 1_000_000)) == 1
    }

    func close() { listener.close() }

    /// A loopback endpoint where nobody listens.
    static func deadEndpoint(on address: IPAddress = .loopbackV4) throws -> Endpoint {
        let backend = try TestBackend(at: Endpoint(address, port: 0))
        backend.close()
        return backend.endpoint
    }
}
