// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

@testable import Relay

/// An endless stream of bytes in which any loss, repetition or change shows: a random block of a length that no buffer
/// has, again and again.
struct Pattern: Sendable {
    private static let period = 1_048_573
    private let block: [UInt8]

    init(seed: UInt64) {
        var random = QuickRandom(seed: seed)
        let words = (0...Self.period / 8).map { _ in random.next() }
        block = words.withUnsafeBytes { Array($0.prefix(Self.period)) }
    }

    /// Sends the stream's first `length` bytes, and FIN.
    func send(_ length: Int, on socket: TestSocket) throws {
        try sendPart(from: 0, count: length, on: socket)
        socket.endWriting()
    }

    func sendPart(from start: Int, count: Int, on socket: TestSocket) throws {
        var sent = 0
        while sent < count {
            let offset = (start + sent) % Self.period
            let part = min(count - sent, Self.period - offset)
            try block.withUnsafeBytes { try socket.send(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + part])) }
            sent += part
        }
    }

    /// Sends what a non-blocking socket takes at once. - Returns: how many bytes, 0 when it takes none.
    func sendSome(from start: Int, on socket: TestSocket) throws -> Int {
        let offset = start % Self.period
        let sent = block.withUnsafeBytes { bytes in
            let part = UnsafeRawBufferPointer(rebasing: bytes[offset...])
            return Glibc.send(socket.descriptor, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
        }
        if sent < 0, errno != EAGAIN { throw SyscallError(call: "send", number: errno) }
        return max(0, sent)
    }

    /// Sends until neither the relay nor any kernel takes more for 100 looks in a row: half a second, longer than a busy
    /// machine keeps the relay's thread from its core.
    /// - Returns: bytes sent, and how many of them the socket still holds.
    func sendUntilFull(on socket: TestSocket) throws -> (written: Int, left: Int) {
        socket.setBlocking(false)
        defer { socket.setBlocking(true) }
        var (written, refusals, left) = (0, 0, 0)
        while refusals < 100 {
            let count = try sendSome(from: written, on: socket)
            written += count
            let current = StreamSocket.unacknowledgedBytes(socket.descriptor)
            refusals = count == 0 && current == left ? refusals + 1 : 0
            left = current
            if count == 0 { usleep(5_000) }
        }
        return (written, left)
    }

    /// Receives what a non-blocking socket has.
    /// - Returns: how many bytes, all of them the stream's; 0 at the end, less than zero when there are none now.
    func receiveSome(from start: Int, on socket: TestSocket) throws -> Int {
        let offset = start % Self.period
        let limit = min(100_000, Self.period - offset)
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: limit, alignment: 16)
        defer { buffer.deallocate() }
        let count = Syscall.receive(socket.descriptor, into: buffer, count: limit)
        guard count <= 0 || isEqual(buffer, count, from: offset) else {
            throw TestFailure("a wrong byte after \(start)")
        }
        return count
    }

    /// Receives exactly `length` bytes of the stream and then FIN.
    func expect(_ length: Int, on socket: TestSocket) throws {
        let (received, end) = try receiveUntilEnd(of: socket)
        guard received == length, end == .finished else {
            throw TestFailure("got \(received) of \(length) bytes, then \(end)")
        }
    }

    /// Receives to the end, all of it bytes of the stream from its start. - Returns: how many came.
    /// - Parameter progress: called with that number after each part.
    func receiveUntilEnd(
        of socket: TestSocket, from start: Int = 0, progress: (Int) -> Void = { _ in }
    ) throws -> (count: Int, end: StreamEnd) {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: Self.period, alignment: 16)
        defer { buffer.deallocate() }
        var received = 0
        while true {
            let offset = (start + received) % Self.period
            let count = recv(socket.descriptor, buffer, Self.period - offset, 0)
            if count == 0 { return (received, .finished) }
            guard count > 0 else {
                // EPIPE is how the kernel calls a reset that came after FIN.
                if errno == ECONNRESET || errno == EPIPE { return (received, .reset) }
                throw SyscallError(call: "recv", subject: "after \(received) bytes", number: errno)
            }
            guard isEqual(buffer, count, from: offset) else { throw TestFailure("a wrong byte after \(received)") }
            received += count
            progress(received)
        }
    }

    private func isEqual(_ bytes: UnsafeRawPointer, _ count: Int, from offset: Int) -> Bool {
        block.withUnsafeBytes { block in
            block.baseAddress.map { memcmp(bytes, $0 + offset, count) == 0 } ?? false
        }
    }
}
