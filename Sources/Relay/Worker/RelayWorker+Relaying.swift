// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel
internal import Synchronization

/// From two connected sides to none.
extension RelayWorker {
    /// How often a side is looked at that must take what a reset peer had sent.
    private static let resetCheckInterval: UInt64 = 20_000_000
    /// How long such a side may take nothing before it is reset all the same: as long as a stuck write goes unquestioned
    /// (docs/promises.md, "The relay").
    private static let resetPatience: UInt64 = 10_000_000_000

    func halfChanged(_ index: UInt32, _ events: Epoll.Interest) {
        let half = slab.half(index)
        if !events.isDisjoint(with: [.readable, .urgent, .peerEnded, .hungUp, .failed]) {
            half.pointee.isReadable = true
        }
        if !events.isDisjoint(with: .ending) {
            half.pointee.isFinishing =
                events.intersection(.ending) == .peerEnded && half.pointee.isEnding == half.pointee.isFinishing
            half.pointee.isEnding = true
        }
        let slot = index / 2
        switch slab.connection(slot).pointee.phase {
        case .free: break
        case .connecting, .waiting: connectingChanged(index, events)
        case .relaying: relayingChanged(index, events)
        case .resetting:
            let isOther = index % 2 != slab.connection(slot).pointee.resetSide
            isOther && events.contains(.failed) ? endReset(slot) : moveRest(slot)
        }
    }

    /// Goes on with both directions, as after connecting or when one has yielded.
    func moveBoth(_ slot: UInt32) {
        switch slab.connection(slot).pointee.phase {
        case .free, .connecting, .waiting: break
        case .relaying:
            if move(from: 2 * slot) { _ = move(from: 2 * slot + 1) }
        case .resetting: moveRest(slot)
        }
    }

    func timerFired(_ slot: UInt32) {
        switch slab.connection(slot).pointee.phase {
        case .free: break
        case .relaying: timeHasPassed(slot)
        case .connecting: attemptFailed(slot, errorNumber: ETIMEDOUT)
        case .waiting: connectNext(slot)
        case .resetting: moveRest(slot)
        }
    }

    private func relayingChanged(_ index: UInt32, _ events: Epoll.Interest) {
        if events.contains(.failed) {
            let number = Syscall.takeError(of: slab.half(index).pointee.descriptor)
            return beginReset(index / 2, side: index % 2, errorNumber: number == 0 ? ECONNRESET : number)
        }
        guard move(from: index) else { return }
        if events.contains(.writable), slab.half(index ^ 1).pointee.pendingCount > 0 { _ = move(from: index ^ 1) }
    }

    /// Moves one direction. - Returns: whether the connection still relays.
    private func move(from index: UInt32) -> Bool {
        let slot = index / 2
        let (bytes, wasShutDown) = (slab.half(index).pointee.bytes, slab.half(index ^ 1).pointee.isShutDown)
        let outcome = moveBytes(from: index)
        if slab.half(index ^ 1).pointee.isShutDown != wasShutDown {
            noteMoved(slot)
            // From here on the limit of half-closed connections holds.
            setTimer(slot)
        } else if slab.half(index).pointee.bytes != bytes {
            noteMoved(slot)
        }
        switch outcome {
        case .blocked:
            return true
        case .yielded:
            goOnLater(slot)
            return true
        case .ended:
            if index % 2 == 1 { instanceEnded(slot) }
            let other = slab.half(index ^ 1)
            guard other.pointee.hasEnded, other.pointee.pendingCount == 0, slab.half(index).pointee.isShutDown else {
                return true
            }
            end(slot, .finished)
        case .sourceFailed(let number):
            beginReset(slot, side: index % 2, errorNumber: number)
        case .sinkFailed(let number):
            beginReset(slot, side: index % 2 ^ 1, errorNumber: number)
        }
        return false
    }

    private func moveBytes(from index: UInt32) -> BytePump.Outcome {
        let source = slab.half(index)
        let before = source.pointee.bytes
        let outcome = pump.move(from: source, to: slab.half(index ^ 1), now: now)
        let moved = source.pointee.bytes &- before
        if moved > 0, let link = slab.connection(index / 2).pointee.link {
            if index % 2 == 0 {
                link.pointee.counters.pointee.bytesFromClients.count(moved)
            } else {
                link.pointee.counters.pointee.bytesFromBackends.count(moved)
                if before == 0 { instanceSpoke(index / 2) }
            }
        }
        return outcome
    }

    // MARK: - Reset

    /// One side is gone without an end. What it had sent is still handed over; then the other side is reset too.
    func beginReset(_ slot: UInt32, side: UInt32, errorNumber: Int32) {
        if side == 1 { instanceEnded(slot) }
        let connection = slab.connection(slot)
        connection.pointee.phase = .resetting
        connection.pointee.resetSide = side
        connection.pointee.errorNumber = errorNumber
        connection.pointee.unacknowledged = .max
        let gone = slab.half(2 * slot + side)
        gone.pointee.wasReset = true
        gone.pointee.isEnding = true
        gone.pointee.isReadable = true
        pump.discardPending(of: slab.half(2 * slot + (side ^ 1)))
        moveRest(slot)
    }

    private func moveRest(_ slot: UInt32) {
        let connection = slab.connection(slot)
        let side = connection.pointee.resetSide
        var left = slab.half(2 * slot + side).pointee.pendingCount
        switch moveBytes(from: 2 * slot + side) {
        case .yielded:
            return goOnLater(slot)
        case .sinkFailed:
            return endReset(slot)
        case .sourceFailed, .ended:
            left = 0
        case .blocked:
            left = slab.half(2 * slot + side).pointee.pendingCount
        }
        // A reset throws away what the kernel has not delivered yet, so wait until the other side has all of it.
        left += StreamSocket.unacknowledgedBytes(slab.half(2 * slot + (side ^ 1)).pointee.descriptor)
        if left == 0 { return endReset(slot) }
        if left != connection.pointee.unacknowledged {
            connection.pointee.unacknowledged = left
            connection.pointee.unchangedSince = now
        } else if now - connection.pointee.unchangedSince >= Self.resetPatience {
            return endReset(slot)
        }
        wheel.arm(slot, at: now + Self.resetCheckInterval)
    }

    private func endReset(_ slot: UInt32) {
        let connection = slab.connection(slot)
        let reason: CloseReason = connection.pointee.resetSide == 0 ? .clientReset : .backendReset
        end(slot, reason, errorNumber: connection.pointee.errorNumber, isReset: true)
    }

    // MARK: - End

    /// Closes what is open, gives everything back, and reports the end.
    func end(_ slot: UInt32, _ reason: CloseReason, errorNumber: Int32 = 0, isReset: Bool = false) {
        let connection = slab.connection(slot)
        let hadConnected = connection.pointee.rounds == nil
        let (fromClient, fromBackend) = (slab.half(2 * slot).pointee.bytes, slab.half(2 * slot + 1).pointee.bytes)
        let instance = hadConnected ? connection.pointee.instance : nil
        judgeAtEnd(slot, reason)
        wheel.cancel(slot)
        closeHalf(2 * slot, isReset: isReset)
        closeHalf(2 * slot + 1, isReset: isReset)
        releaseInstance(of: connection)
        guard let link = connection.pointee.link else { return }
        report(
            .connectionEnded(
                ConnectionEnd(
                    link: link.pointee.id, instance: instance, client: connection.pointee.client,
                    reason: reason, errorNumber: errorNumber, bytesFromClient: fromClient,
                    bytesFromBackend: fromBackend,
                    duration: .nanoseconds(now - connection.pointee.acceptedAt)
                )
            )
        )
        slab.giveBack(slot)
        counters.givePlaceBack()
        link.pointee.connectionClosed()
        if link.pointee.isDraining { reportIfDrained(link) }
        hasFreePlace = true
    }

    func closeHalf(_ index: UInt32, isReset: Bool) {
        let half = slab.half(index)
        pump.discardPending(of: half)
        if half.pointee.descriptor >= 0 {
            if isReset { StreamSocket.resetOnClose(half.pointee.descriptor) }
            close(half.pointee.descriptor)
        }
        half.pointee.clear()
    }

    func releaseInstance(of connection: UnsafeMutablePointer<Connection>) {
        guard let instance = connection.pointee.instance else { return }
        connection.pointee.instance = nil
        instances.connectionClosed(instance)
    }

    func reportIfDrained(_ link: UnsafeMutablePointer<WorkerLink>) {
        if link.pointee.ledger.takeDrained() { report(.linkDrained(link.pointee.id)) }
    }
}
