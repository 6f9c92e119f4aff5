// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc

/// One direction of one connection of a `FaultProxy`. Belongs to its thread.
struct FaultLine {
    /// Bytes that wait inside at most, behind which the source feels that nobody reads: 16 MB/s at a latency of 60 ms.
    private static let capacity = 1 << 20
    /// How long a side that reads nothing holds up a reset.
    private static let resetPatience = Duration.seconds(5)

    private let source: TCPConnection
    private let sink: TCPConnection
    private var line = DelayLine()
    /// What may go on and the sink did not take yet.
    private var outgoing: ArraySlice<UInt8> = []
    /// When the end of the stream came, and whether it was a reset.
    private var end: (at: ContinuousClock.Instant, isReset: Bool)?
    /// Bytes that have gone on.
    private var passed = 0
    private var buffer = [UInt8](repeating: 0, count: 16 << 10)

    init(from source: TCPConnection, to sink: TCPConnection) {
        self.source = source
        self.sink = sink
    }

    /// Passes on what is due, and waits a little for what comes next.
    /// - Parameter faults: what goes wrong at the time of the call.
    /// - Returns: false when the end of the stream has gone on.
    /// - Throws: when the connection is to be reset, because a side was or the faults say so; what came before that has
    ///   arrived by then.
    mutating func turn(_ faults: () throws(SocketFailure) -> LineFaults) throws(SocketFailure) -> Bool {
        let current = try faults()
        guard !current.isStalled else {
            blockThread(for: FaultProxy.lookInterval)
            return true
        }
        try passOn(current)
        let now = ContinuousClock.now
        var wait = FaultProxy.lookInterval
        if outgoing.isEmpty {
            if let end, line.count == 0 {
                let due = line.due(ofEndAt: end.at, current)
                if due <= now {
                    if end.isReset { throw reset() }
                    sink.endSending()
                    return false
                }
                wait = min(wait, due - now)
            }
            if let due = line.nextDue { wait = min(wait, max(.zero, due - now)) }
        }
        // What is set while it waits holds for what comes.
        if awaitEvent(within: wait) { try takeIn(try faults()) }
        return true
    }

    private mutating func passOn(_ faults: LineFaults) throws(SocketFailure) {
        while true {
            if outgoing.isEmpty {
                guard let piece = line.give(at: .now) else { return }
                outgoing = piece[...]
            }
            let left = faults.resetAfterBytes.map { $0 - passed } ?? .max
            guard left > 0 else { throw reset() }
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

    /// Waits for the sink to have what was sent: a reset throws away the rest of it.
    private func reset() -> SocketFailure {
        let deadline = ContinuousClock.now + Self.resetPatience
        var waiting: Int32 = 0
        while ioctl(sink.descriptor, UInt(TIOCOUTQ), &waiting) == 0, waiting > 0, ContinuousClock.now < deadline {
            blockThread(for: .milliseconds(1))
        }
        return SocketFailure("pass on", ECONNRESET)
    }

    /// - Returns: whether the source has something.
    private func awaitEvent(within wait: Duration) -> Bool {
        let reads = end == nil && line.count < Self.capacity
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
        case 0: end = (.now, false)
        case 1...: line.take(buffer[..<count], at: .now, faults)
        default:
            if errno == ECONNRESET { return end = (.now, true) }
            if errno != EAGAIN && errno != EINTR { throw SocketFailure("take in") }
        }
    }
}
