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
        case .cut(let targets, let reason):
            cut(targets, reason)
        case .close(let id, let reply):
            removeListeners(of: id)
            reply.answer()
        case .shutdown(let deadline):
            beginShutdown(deadline: deadline)
        }
    }

    /// The earliest of the worker's own deadlines.
    var nextAlarm: UInt64? {
        let next = min(acceptPause.until ?? .max, shutdownDeadline ?? .max, pump.sparesEnd ?? .max, deadlines.earliest)
        return next == .max ? nil : next
    }

    func alarmRang() {
        if let until = acceptPause.until, until <= now { resumeAccepting() }
        if let end = pump.sparesEnd, end <= now { pump.dropSpares() }
        if let deadline = shutdownDeadline, deadline <= now { cutAll(.shutdownDeadline) { _ in true } }
        cut(deadlines.takePassed(by: now), .drainDeadline)
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
            deadlines.set(nil, of: .link(link.pointee.id))
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
        deadlines.set(deadline, of: target)
    }

    private func cut(_ targets: Set<RelayTarget>, _ reason: CloseReason) {
        guard !targets.isEmpty else { return }
        cutAll(reason) { connection in
            if let link = connection.pointee.link, targets.contains(.link(link.pointee.id)) { return true }
            return connection.pointee.phase != .connecting && Self.isServed(connection, byOneOf: targets)
        }
        // Who waits for one of the instances to accept goes on to another.
        for slot in 0..<UInt32(slab.capacity) where Self.isServed(slab.connection(slot), byOneOf: targets) {
            attemptFailed(slot, errorNumber: ECONNABORTED)
        }
    }

    private static func isServed(
        _ connection: UnsafeMutablePointer<Connection>, byOneOf targets: Set<RelayTarget>
    ) -> Bool {
        guard let id = connection.pointee.instance else { return false }
        if targets.contains(.instance(id)) { return true }
        guard let link = connection.pointee.link else { return false }
        return targets.contains(.member(link.pointee.id, id))
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
