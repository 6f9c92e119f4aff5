// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel
internal import Synchronization

/// A listening socket as one worker uses it. The slot outlives the socket, for the generation that it counts.
struct ListenerSlot {
    /// Nil when the slot is free.
    var listener: Listener?
    var generation: UInt32 = 0
    var link: UnsafeMutablePointer<WorkerLink>
    var isShared: Bool
    var isRegistered = false
}

extension RelayWorker {
    /// Clients taken from one listener in one turn, so that the connections there are get theirs.
    private static let acceptsPerTurn = 64
    /// The same at the end, once: as many as a backlog holds (`ListeningSockets`).
    private static let lastAccepts = 4096

    func add(_ listener: Listener, of link: UnsafeMutablePointer<WorkerLink>, isShared: Bool) {
        var slot = ListenerSlot(listener: listener, link: link, isShared: isShared)
        let index = listeners.firstIndex { $0.listener == nil } ?? listeners.count
        if index < listeners.count {
            slot.generation = listeners[index].generation &+ 1
            listeners[index] = slot
        } else {
            listeners.append(slot)
        }
        if !acceptPause.isPaused { register(index) }
    }

    /// Stops accepting from the listeners that belong to `link`, from all when it is nil, and lets go of them.
    func removeListeners(of link: Link.ID?) {
        for index in listeners.indices where link == nil || listeners[index].link.pointee.id == link {
            unregister(index)
            listeners[index].listener = nil
            listeners[index].generation &+= 1
        }
    }

    func accept(fromListener index: Int, generation: UInt32) {
        guard listeners[index].generation == generation, let descriptor = listeners[index].listener?.descriptor else {
            counters.staleEvents.add(1, ordering: .relaxed)
            return
        }
        accept(from: descriptor, for: listeners[index].link, atMost: Self.acceptsPerTurn)
    }

    /// Takes in whoever has already been let in by the kernel, before the listeners close: they would be reset.
    func acceptLast() {
        for slot in listeners where !acceptPause.isPaused {
            guard let listener = slot.listener, slot.isRegistered else { continue }
            accept(from: listener.descriptor, for: slot.link, atMost: Self.lastAccepts, isLast: true)
        }
    }

    /// The pause is over, or a place is free again: lets in who waits, and pauses again if that fails.
    func resumeAccepting() {
        acceptPause.retried()
        guard counters.descriptors.isThere(beside: port.epoll.descriptor) else {
            return pauseAccepting(errorNumber: EMFILE)
        }
        for index in listeners.indices {
            guard let descriptor = listeners[index].listener?.descriptor else { continue }
            register(index)
            accept(from: descriptor, for: listeners[index].link, atMost: Self.acceptsPerTurn)
            if acceptPause.isPaused { return }
        }
        acceptPause.ended()
        report(.acceptResumed)
    }

    /// - Parameter isLast: whether a command is being carried out by this, so that others have to wait.
    private func accept(
        from descriptor: Int32, for link: UnsafeMutablePointer<WorkerLink>, atMost limit: Int, isLast: Bool = false
    ) {
        var peer = SocketAddress()
        var accepted = 0
        counters.descriptors.look()
        while accepted < limit {
            guard counters.takePlace() else { return pauseAccepting(errorNumber: 0) }
            let result = StreamSocket.accept(descriptor, from: &peer)
            if result >= 0 {
                accepted += 1
                acceptPause.succeeded()
                let client = peer.endpoint
                let isRoomLeft = counters.descriptors.mayAccept(after: Int32(result))
                if !isLast, port.hasCommands {
                    admitAfterCommands(Int32(result), from: client, for: link)
                    if !isRoomLeft { pauseAccepting(errorNumber: EMFILE) }
                    return
                }
                admit(Int32(result), from: client, for: link)
                guard isRoomLeft else { return pauseAccepting(errorNumber: EMFILE) }
                continue
            }
            counters.givePlaceBack()
            switch Int32(-result) {
            case EAGAIN: return
            // EINVAL: someone who shares the socket has shut it down; asking again at once would be a busy loop.
            case EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL: return pauseAccepting(errorNumber: Int32(-result))
            // The client has gone, or its network has (accept(2), "Error handling"): the next one.
            default: accepted += 1
            }
        }
    }

    /// Who came after a command must see what it has changed, though the mailbox's own event is still to come. The
    /// listener may be gone after that: no further look at it in this turn.
    private func admitAfterCommands(
        _ descriptor: Int32, from client: Endpoint?, for link: UnsafeMutablePointer<WorkerLink>
    ) {
        // The client counts already, so that the link is not called drained before it is.
        link.pointee.connectionOpened()
        carryOutCommands()
        admit(descriptor, from: client, for: link)
        link.pointee.connectionClosed()
        if link.pointee.isDraining { reportIfDrained(link) }
    }

    /// Stops accepting for a while: the clients wait in the backlog, and connections that end make room.
    func pauseAccepting(errorNumber: Int32) {
        guard !acceptPause.isPaused, shutdownDeadline == nil else { return }
        if !acceptPause.isInForce {
            counters.acceptPauses.add(1, ordering: .relaxed)
            report(.acceptPaused(errorNumber: errorNumber))
        }
        acceptPause.failed(now: now)
        for index in listeners.indices { unregister(index) }
    }

    private func register(_ index: Int) {
        guard let listener = listeners[index].listener, !listeners[index].isRegistered else { return }
        let token = Token.listener(UInt32(index), generation: listeners[index].generation)
        let interest: Epoll.Interest = listeners[index].isShared ? [.readable, .exclusive] : .readable
        let result = port.epoll.add(listener.descriptor, interest, token)
        listeners[index].isRegistered = result == 0
        if result != 0 { pauseAccepting(errorNumber: Int32(-result)) }
    }

    private func unregister(_ index: Int) {
        guard let listener = listeners[index].listener, listeners[index].isRegistered else { return }
        listeners[index].isRegistered = false
        port.epoll.remove(listener.descriptor)
    }
}
