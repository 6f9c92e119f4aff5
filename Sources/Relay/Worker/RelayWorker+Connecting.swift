// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel
internal import Synchronization

/// From an accepted client to an instance that accepts too.
extension RelayWorker {
    /// - Parameter descriptor: the accepted client, which belongs to the connection from here on.
    func admit(_ descriptor: Int32, from client: Endpoint?, for link: UnsafeMutablePointer<WorkerLink>) {
        guard let slot = slab.take() else {
            counters.givePlaceBack()
            close(descriptor)
            return
        }
        wheel.grow(to: slab.capacity)
        let connection = slab.connection(slot)
        connection.pointee.link = link
        connection.pointee.client = client
        connection.pointee.acceptedAt = now
        connection.pointee.rounds = ConnectRounds(now: now, limits: limits)
        connection.pointee.phase = .waiting
        link.pointee.counters.pointee.accepted.count()
        link.pointee.connectionOpened()
        slab.half(2 * slot).pointee.descriptor = descriptor
        let result = watch(2 * slot)
        guard result == 0 else { return end(slot, .resources, errorNumber: Int32(-result), isReset: true) }
        connectNext(slot)
    }

    /// Tries instances until one is on its way, the round is over, or the client must be given up.
    func connectNext(_ slot: UInt32) {
        let connection = slab.connection(slot)
        guard let link = connection.pointee.link else { return }
        while true {
            let candidates = Candidates(
                table: link.pointee.view, cells: cells, balance: link.pointee.balance,
                isPanicking: link.pointee.isPanicking(cells, now: now), now: now,
                source: connection.pointee.client.map { SourceHash.hash($0.address) }, ejection: ejection,
                room: link.pointee.room)
            let jitter = Double.random(in: 0..<1, using: &random)
            let step = connection.pointee.rounds?.next(
                of: candidates, &link.pointee.turn, limits: limits, &random, jitter: jitter)
            switch step ?? .giveUp {
            case .attempt(let index, let deadline):
                let instance = candidates.table.ids[index]
                // Another worker may have taken its last place.
                guard instances.takePlace(instance, room: link.pointee.room) else { continue }
                if cells[instance].pointee.takeReturn(now: now) {
                    report(.instanceReturned(link.pointee.id, instance))
                }
                let result = attempt(slot, instance, at: candidates.table.addresses[index])
                if result == 0 {
                    connection.pointee.phase = .connecting
                    wheel.arm(slot, at: deadline)
                    return
                }
                if isShortage(result) { return waitForDescriptors(slot, errorNumber: result) }
                noteFailure(slot, errorNumber: result)
            case .pause(let until):
                connection.pointee.phase = .waiting
                wheel.arm(slot, at: until)
                return
            case .noInstance:
                link.pointee.counters.pointee.refusedNoInstance.count()
                return end(slot, .noInstance, isReset: true)
            case .giveUp:
                // Without an error nobody was even asked.
                let isCrowded = connection.pointee.errorNumber == 0 && candidates.table.count > 0
                link.pointee.counters.pointee.refusedUnreachable.count()
                return end(
                    slot, isCrowded ? .noRoom : .connectFailed, errorNumber: connection.pointee.errorNumber,
                    isReset: true)
            }
        }
    }

    /// An event on either half while no instance has accepted yet.
    func connectingChanged(_ index: UInt32, _ events: Epoll.Interest) {
        let slot = index / 2
        guard index % 2 == 1 else {
            // A client that ended only its own direction still waits for an answer; one on a Unix socket that has closed is
            // hung up as well, and what it had sent is still to be handed over. A reset always is a failure.
            if events.contains(.failed) { clientLeft(slot) }
            return
        }
        guard events.contains(.failed) || events.contains(.hungUp) else {
            if events.contains(.writable) { connected(slot) }
            return
        }
        switch takeError(of: index) {
        case 0:
            connected(slot)
        case ECONNRESET, EPIPE:
            // It had accepted, and was reset after that. Reading the error has cleared it, so keep it in mind.
            slab.half(index).pointee.wasReset = true
            connected(slot)
        case let number:
            attemptFailed(slot, errorNumber: number)
        }
    }

    /// The instance in question did not accept: on to the next.
    func attemptFailed(_ slot: UInt32, errorNumber: Int32) {
        wheel.cancel(slot)
        noteFailure(slot, errorNumber: errorNumber)
        connectNext(slot)
    }

    /// The client was reset before its instance was known to have accepted.
    private func clientLeft(_ slot: UInt32) {
        let backend = slab.half(2 * slot + 1).pointee.descriptor
        // It may have accepted all the same, with the event on its way: then it gets what the client had sent.
        if backend >= 0, StreamSocket.isConnected(backend) {
            slab.half(2 * slot).pointee.wasReset = true
            return connected(slot)
        }
        end(slot, .clientGone, errorNumber: takeError(of: 2 * slot), isReset: true)
    }

    private func connected(_ slot: UInt32) {
        wheel.cancel(slot)
        slab.connection(slot).pointee.rounds = nil
        slab.connection(slot).pointee.connectedAt = now
        beginRelaying(slot)
    }

    /// To an instance that counts the connection already.
    /// - Returns: 0 when its answer is awaited, else the `errno`.
    private func attempt(_ slot: UInt32, _ instance: InstanceID, at address: SocketAddress) -> Int32 {
        slab.connection(slot).pointee.instance = instance
        let descriptor = StreamSocket.make(family: address.family)
        guard descriptor >= 0 else { return Int32(-descriptor) }
        guard counters.descriptors.mayConnect(with: Int32(descriptor)) else {
            close(Int32(descriptor))
            return EMFILE
        }
        let half = slab.half(2 * slot + 1)
        half.pointee.descriptor = Int32(descriptor)
        StreamSocket.prepare(half.pointee.descriptor)
        let result = StreamSocket.connect(half.pointee.descriptor, to: address)
        guard result == 0 || result == -Int(EINPROGRESS) else { return Int32(-result) }
        if ephemeralPorts.mayMeet(address),
            StreamSocket.isConnectedToItself(half.pointee.descriptor, calling: address)
        {
            return ECONNREFUSED
        }
        // Registered after the connect: a socket that was never connected would report itself as hung up.
        return Int32(-watch(2 * slot + 1))
    }

    /// Takes back what an attempt holds, and counts it against its instance.
    private func noteFailure(_ slot: UInt32, errorNumber: Int32) {
        let connection = slab.connection(slot)
        connection.pointee.errorNumber = errorNumber
        closeHalf(2 * slot + 1, isReset: false)
        guard let instance = connection.pointee.instance, let link = connection.pointee.link else { return }
        // Whatever is told of the instance is told while this connection counts: once it does not, its slot may be another's.
        defer { releaseInstance(of: connection) }
        if errorNumber == EADDRNOTAVAIL {
            link.pointee.counters.pointee.portShortages.count()
        } else {
            link.pointee.counters.pointee.failedConnects.count()
        }
        report(
            .connectFailed(
                ConnectFailure(link: link.pointee.id, instance: instance, errorNumber: errorNumber)
            )
        )
        // ECONNABORTED is our own word, for an attempt that was cut.
        if errorNumber != EADDRNOTAVAIL, errorNumber != ECONNABORTED {
            blame(instance, of: link, errorNumber: errorNumber)
        }
    }

    /// Whether it is this process that lacks something, so that another instance would do no better.
    private func isShortage(_ number: Int32) -> Bool {
        number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM || number == ENOSPC
    }

    private func waitForDescriptors(_ slot: UInt32, errorNumber: Int32) {
        let connection = slab.connection(slot)
        connection.pointee.errorNumber = errorNumber
        closeHalf(2 * slot + 1, isReset: false)
        releaseInstance(of: connection)
        pauseAccepting(errorNumber: errorNumber)
        let jitter = Double.random(in: 0..<1, using: &random)
        guard case .pause(let until) = connection.pointee.rounds?.endRound(now: now, limits: limits, jitter: jitter)
        else { return end(slot, .resources, errorNumber: errorNumber, isReset: true) }
        connection.pointee.phase = .waiting
        wheel.arm(slot, at: until)
    }

    private func takeError(of index: UInt32) -> Int32 { Syscall.takeError(of: slab.half(index).pointee.descriptor) }

    private func watch(_ index: UInt32) -> Int {
        let half = slab.half(index)
        return port.epoll.add(
            half.pointee.descriptor, .connection, .half(index, generation: half.pointee.generation)
        )
    }
}
