// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import Synchronization

/// A system call on a test's socket that failed.
package struct SocketFailure: Error, Hashable, CustomStringConvertible {
    package let operation: String
    package let number: Int32

    /// Takes errno as the last call left it.
    init(_ operation: String, _ number: Int32 = errno) {
        self.operation = operation
        self.number = number
    }

    package var isReset: Bool { number == ECONNRESET || number == EPIPE }
    package var isRefused: Bool { number == ECONNREFUSED }

    package var description: String { "\(operation): \(String(cString: strerror(number)))" }
}

/// One TCP connection with blocking calls, each of which gives up after the connection's limit: for threads of its own
/// (`blocking`), never for the cooperative pool.
package final class TCPConnection: Sendable {
    let descriptor: Int32
    private let isClosed = Mutex(false)

    /// Owns the descriptor from here on.
    init(owning descriptor: Int32, limit: Duration) {
        self.descriptor = descriptor
        setTimeout(SO_RCVTIMEO, limit)
        setTimeout(SO_SNDTIMEO, limit)
        set(IPPROTO_TCP_LEVEL, TCP_NODELAY, 1)
    }

    deinit { close() }

    // MARK: - Sending

    package func send(_ bytes: UnsafeRawBufferPointer) throws {
        var rest = bytes
        while let start = rest.baseAddress, !rest.isEmpty {
            let sent = Glibc.send(descriptor, start, rest.count, Int32(MSG_NOSIGNAL))
            guard sent > 0 else {
                if errno == EINTR { continue }
                throw SocketFailure("send")
            }
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(sent))
        }
    }

    package func send(_ text: String) throws {
        try Array(text.utf8).withUnsafeBytes { try send($0) }
    }

    /// Half-close: FIN after all that was sent.
    package func finishSending() throws {
        guard shutdown(descriptor, Int32(SHUT_WR)) == 0 else { throw SocketFailure("shutdown") }
    }

    /// The same to a peer that may be gone.
    func endSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    // MARK: - Receiving

    /// - Returns: bytes received, 0 at the end of the stream.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count >= 0 { return count }
            if errno != EINTR { throw SocketFailure("receive") }
        }
    }

    /// - Returns: up to `limit` bytes, fewer only at the end of the stream.
    package func receive(upTo limit: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: limit)
        var filled = 0
        while filled < limit {
            let count = try bytes.withUnsafeMutableBytes {
                try receive(into: UnsafeMutableRawBufferPointer(rebasing: $0[filled...]))
            }
            if count == 0 { break }
            filled += count
        }
        return Array(bytes[..<filled])
    }

    /// - Returns: everything up to the end of the stream.
    package func receiveToEnd() throws -> [UInt8] {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = try part.withUnsafeMutableBytes { try receive(into: $0) }
            if count == 0 { return all }
            all.append(contentsOf: part[..<count])
        }
    }

    /// - Returns: the line without its end, what there is at the end of the stream, nil when there is nothing.
    package func receiveLine() throws -> String? {
        var line: [UInt8] = []
        while true {
            let byte = try receive(upTo: 1)
            guard let byte = byte.first else { return line.isEmpty ? nil : String(decoding: line, as: UTF8.self) }
            if byte == UInt8(ascii: "\n") { return String(decoding: line, as: UTF8.self) }
            if byte != UInt8(ascii: "\r") { line.append(byte) }
        }
    }

    /// Sends a line and gives the answer's first.
    package func exchange(_ line: String) throws -> String? {
        try send(line + "\n")
        return try receiveLine()
    }

    // MARK: - Ending

    /// Idempotent.
    package func close() {
        isClosed.withLock { isClosed in
            if !isClosed { Glibc.close(descriptor) }
            isClosed = true
        }
    }

    /// Closes with RST instead of FIN.
    package func reset() {
        setLingerZero()
        close()
    }

    /// From another thread than the one that reads: wakes it with the end of the stream; its close then sends RST.
    func abort() {
        isClosed.withLock { isClosed in
            guard !isClosed else { return }
            setLingerZero()
            _ = shutdown(descriptor, Int32(SHUT_RD))
        }
    }

    private func setLingerZero() {
        var value = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    private func setTimeout(_ option: Int32, _ limit: Duration) {
        var value = timeval(
            tv_sec: Int(limit.components.seconds), tv_usec: Int(limit.components.attoseconds / 1_000_000_000_000))
        setsockopt(descriptor, SOL_SOCKET, option, &value, socklen_t(MemoryLayout<timeval>.size))
    }

    private func set(_ level: Int32, _ option: Int32, _ number: Int32) {
        var value = number
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// The level of TCP's options, which Glibc imports as another type than setsockopt takes.
private let IPPROTO_TCP_LEVEL = Int32(IPPROTO_TCP)
