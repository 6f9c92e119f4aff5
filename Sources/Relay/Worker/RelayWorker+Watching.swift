// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc

/// Time passes over connections that relay: dead peers, and the limits of silence.
///
/// A slot has one timer, set to whatever is due first. Bytes that move only leave their time behind; a timer that fires
/// early for that sets itself again.
extension RelayWorker {
    /// An instance has accepted: bytes may move from now on.
    func beginRelaying(_ slot: UInt32) {
        let connection = slab.connection(slot)
        connection.pointee.phase = .relaying
        connection.pointee.movedAt = now
        connection.pointee.lookAt = now + watchLimits.firstLook
        setTimer(slot)
        moveBoth(slot)
    }

    /// Bytes, or FIN, were written to one side.
    func noteMoved(_ slot: UInt32) {
        let connection = slab.connection(slot)
        connection.pointee.movedAt = now
        guard connection.pointee.lookAt == 0 else { return }
        connection.pointee.lookAt = now + watchLimits.firstLook
        setTimer(slot)
    }

    /// Sets the slot's timer to what is due next.
    func setTimer(_ slot: UInt32) {
        let connection = slab.connection(slot)
        var next = connection.pointee.lookAt == 0 ? .max : connection.pointee.lookAt
        if let silence = silenceLimit(slot) { next = min(next, connection.pointee.movedAt + silence.limit) }
        if next == .max { wheel.cancel(slot) } else { wheel.arm(slot, at: next) }
    }

    /// The timer of a connection that relays.
    func timeHasPassed(_ slot: UInt32) {
        let connection = slab.connection(slot)
        if let silence = silenceLimit(slot), now >= connection.pointee.movedAt + silence.limit {
            return end(slot, silence.reason, isReset: true)
        }
        if connection.pointee.lookAt != 0, now >= connection.pointee.lookAt {
            keepAlive(slot)
            guard let isUnderWay = lookAtBoth(slot) else { return }
            connection.pointee.lookAt = isUnderWay ? now + watchLimits.interval : 0
        }
        setTimer(slot)
    }

    /// The instance's side: most connections are over before keepalive would say anything, and four system calls are a tenth
    /// of what such a one costs. The client's side inherits it from its listener.
    private func keepAlive(_ slot: UInt32) {
        let connection = slab.connection(slot)
        guard !connection.pointee.isKeptAlive else { return }
        connection.pointee.isKeptAlive = true
        StreamSocket.keepAlive(slab.half(2 * slot + 1).pointee.descriptor)
    }

    /// - Returns: whether bytes are on their way to either side; nil when that one is dead, and the connection with it.
    private func lookAtBoth(_ slot: UInt32) -> Bool? {
        var isUnderWay = false
        for side in UInt32(0)...1 {
            let half = slab.half(2 * slot + side)
            // That of a direction which moves is as good as empty, and it borrows the next one at once.
            pump.freePipe(of: half)
            let reading = StreamSocket.transmission(half.pointee.descriptor)
            if reading != nil { isUnderWay = true }
            if half.pointee.watch.looked(reading, now: now, limits: watchLimits) == .dead {
                beginReset(slot, side: side, errorNumber: ETIMEDOUT)
                return nil
            }
        }
        return isUnderWay
    }

    private func silenceLimit(_ slot: UInt32) -> (limit: UInt64, reason: CloseReason)? {
        guard idleLimit != .max || halfClosedLimit != .max else { return nil }
        let isHalfClosed = slab.half(2 * slot).pointee.isShutDown || slab.half(2 * slot + 1).pointee.isShutDown
        if isHalfClosed, halfClosedLimit < idleLimit { return (halfClosedLimit, .halfClosedLimit) }
        return idleLimit == .max ? nil : (idleLimit, .idleLimit)
    }
}
