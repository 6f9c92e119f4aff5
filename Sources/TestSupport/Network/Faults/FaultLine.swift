// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

/// One direction of one connection of a `FaultProxy`. Belongs to its thread.
struct FaultLine {
    /// Bytes that wait inside at most, behind which the source feels that nobody reads: 16 MB/s at a latency of 60 ms.
    private static let capacity = 1 << 20

    private let source: TCPConnection
    private let sink: TCPConnection
    private var line = DelayLine()
    /// What may go on and the sink did not take yet.
    private var outgoing: ArraySlice<UInt8> = []
    /// When the end of the stream came.
    private var endedAt: ContinuousClock.Instant?
    /// Bytes that have gone on.
    private var passed = 0
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)

    init(from source: TCPConnection, to sink: TCPConnection) {
        self.source = source
        self.sink = sink
    }

    /// Passes on what is due, and waits a little for what comes next.
    /// - Returns: false when the end of the stream has gone on.
    /// - Throws: when the connection is to be reset, because a side was or the faults say so.
    mutating func turn(_ faults: LineFaults) throws(SocketFailure) -> Bool {
        guard !faults.isStalled else {
            blockThread(for: FaultProxy.lookInterval)
            return true
        }
        try passOn(faults)
        let now = ContinuousClock.now
        var wait = FaultProxy.lookInterval
        if outgoing.isEmpty {
            if let endedAt, line.count == 0 {
                let due = line.due(ofEndAt: endedAt, faults)
                if due <= now {
                    sink.endSending()
                    return false
                }
                wait = min(wait, due - now)
            }
            if let due = line.nextDue { wait = min(wait, max(.zero, due - now)) }
        }
        if awaitEvent(within: wait) { try takeIn(faults) }
        return true
    }

    private mutating func passOn(_ faults: LineFaults) throws(SocketFailure) {
        while true {
            if outgoing.isEmpty {
                guard let piece = line.give(at: .now) else { return }
                outgoing = piece[...]
            }
            let left = faults.resetAfterBytes.map { $0 - passed } ?? .max
            guard left > 0 else { throw SocketFailure("pass on", ECONNRESET) }
            let sent = outgoing.prefix(left).withUnsafeBytes {
                send(sink.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if sent < 0 {
                if errno == EAGAIN || errno == EINTR { return }
                throw SocketFailure("pass on")
            }
            passed += sent
            outgoing = outgoing.dropFirst(sent)
        }
    }

    /// - Returns: whether the source has something.
    private func awaitEvent(within wait: Duration) -> Bool {
        let reads = endedAt == nil && line.count < Self.capacity
        var events = [
            pollfd(fd: reads ? source.descriptor : -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: outgoing.isEmpty ? -1 : sink.descriptor, events: Int16(POLLOUT), revents: 0),
        ]
        // Rounded up, or the last millisecond before something is due would be a busy loop.
        _ = poll(&events, nfds_t(events.count), Int32(wait.milliseconds) + (wait > .zero ? 1 : 0))
        return events[0].revents != 0
    }

    private mutating func takeIn(_ faults: LineFaults) throws(SocketFailure) {
        let descriptor = source.descriptor
        let count = buffer.withUnsafeMutableBytes {
            recv(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
        }
        switch count {
        case 0: endedAt = .now
        case 1...: line.take(buffer[..<count], at: .now, faults)
        default:
            if errno != EAGAIN && errno != EINTR { throw SocketFailure("take in") }
        }
    }
}
