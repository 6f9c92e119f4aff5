// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel

/// What the engine asks for, and deadlines that are not a single connection's.
extension RelayWorker {
    func carryOutCommands() {
        for command in port.takeCommands() { carryOut(command) }
    }

    private func carryOut(_ command: WorkerCommand) {
        switch command {
        case .open(let ledger, let policy, let opened, let isShared):
            open(link(ledger), policy, opened, isShared: isShared)
        case .apply(let table, let ledger):
            link(ledger).pointee.apply(table, cells, now: now)
        case .drain(let target, let deadline):
            drain(target, until: deadline)
        case .cut(let target, let reason):
            cut(target, reason)
        case .close(let id, let reply):
            removeListeners(of: id)
            reply.answer()
        case .shutdown(let deadline):
            beginShutdown(deadline: deadline)
        }
    }

    /// The earliest of the worker's own deadlines.
    var nextAlarm: UInt64? {
        var next = min(acceptPause.until ?? .max, shutdownDeadline ?? .max, pump.sparesEnd ?? .max)
        for deadline in deadlines { next = min(next, deadline.at) }
        return next == .max ? nil : next
    }

    func alarmRang() {
        if let until = acceptPause.until, until <= now { resumeAccepting() }
        if let end = pump.sparesEnd, end <= now { pump.dropSpares() }
        if let deadline = shutdownDeadline, deadline <= now { cutAll(.shutdownDeadline) { _ in true } }
        for deadline in deadlines where deadline.at <= now { cut(deadline.target, .drainDeadline) }
        deadlines.removeAll { $0.at <= now }
    }

    private func open(
        _ link: UnsafeMutablePointer<WorkerLink>, _ policy: LinkPolicy, _ opened: [Listener], isShared: Bool
    ) {
        guard shutdownDeadline == nil else { return }
        link.pointee.balance = policy.balance
        link.pointee.room = policy.connectionsPerInstance.map { UInt32(clamping: $0) } ?? .max
        if link.pointee.isDraining {
            link.pointee.isDraining = false
            link.pointee.ledger.drainEnded()
            deadlines.removeAll { $0.target == .link(link.pointee.id) }
        }
        for listener in opened { add(listener, of: link, isShared: isShared) }
    }

    private func drain(_ target: RelayTarget, until deadline: UInt64?) {
        if case .link(let id) = target, let link = links[id], !link.pointee.isDraining {
            removeListeners(of: id)
            link.pointee.isDraining = true
            link.pointee.ledger.drainBegan()
            reportIfDrained(link)
        }
        if let deadline { deadlines.append((target, deadline)) }
    }

    private func cut(_ target: RelayTarget, _ reason: CloseReason) {
        switch target {
        case .link(let id):
            cutAll(reason) { $0.pointee.link?.pointee.id == id }
        case .instance(let id):
            cutAll(reason) { $0.pointee.instance == id && $0.pointee.phase != .connecting }
            for slot in 0..<UInt32(slab.capacity) where slab.connection(slot).pointee.instance == id {
                attemptFailed(slot, errorNumber: ECONNABORTED)
            }
        }
    }

    /// Goes through all slots: once for a command, never for an event.
    private func cutAll(_ reason: CloseReason, where isMeant: (UnsafeMutablePointer<Connection>) -> Bool) {
        for slot in 0..<UInt32(slab.capacity) {
            let connection = slab.connection(slot)
            guard connection.pointee.phase != .free, isMeant(connection) else { continue }
            end(slot, reason, isReset: true)
        }
    }

    private func beginShutdown(deadline: UInt64) {
        if shutdownDeadline == nil {
            acceptLast()
            removeListeners(of: nil)
            acceptPause.ended()
        }
        shutdownDeadline = min(deadline, shutdownDeadline ?? .max)
    }
}
