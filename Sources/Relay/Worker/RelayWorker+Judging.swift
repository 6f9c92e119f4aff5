// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel

/// What connections tell of their instances: `InstanceCell` adds it up, for all workers.
extension RelayWorker {
    /// An instance did not accept, or ended at once what it had accepted.
    /// - Parameter errorNumber: 0 for the latter.
    func blame(_ instance: InstanceID, of link: UnsafeMutablePointer<WorkerLink>, errorNumber: Int32) {
        let until = cells[instance].pointee.failed(now: now, ejection) { more in
            link.pointee.canSpare(more, cells, now: now)
        }
        guard let until else { return }
        link.pointee.counters.pointee.ejections.count()
        report(
            .instanceEjected(
                InstanceEjection(
                    link: link.pointee.id, instance: instance, duration: .nanoseconds(until - now),
                    errorNumber: errorNumber)))
    }

    /// Bytes have come from the instance.
    func instanceSpoke(_ slot: UInt32) {
        let connection = slab.connection(slot)
        guard connection.pointee.verdict == .open, let instance = connection.pointee.instance else { return }
        connection.pointee.verdict = .well
        cells[instance].pointee.proved()
    }

    /// The instance has ended its side, in whatever way. Whoever accepts on behalf of a service that is not there does so
    /// at once, and without a word; a client that has ended first, as those do who only want to know whether somebody
    /// accepts, has given the instance no time to say anything.
    func instanceEnded(_ slot: UInt32) {
        let connection = slab.connection(slot)
        guard connection.pointee.verdict == .open, let instance = connection.pointee.instance,
            let link = connection.pointee.link
        else { return }
        let client = slab.half(2 * slot)
        guard !client.pointee.hasEnded, !client.pointee.isEnding, !client.pointee.wasReset else { return }
        guard now - connection.pointee.connectedAt <= ejection.hastyEnd else { return instanceSpoke(slot) }
        connection.pointee.verdict = .failed
        blame(instance, of: link, errorNumber: 0)
    }

    /// A connection is over. One that the instance has kept for a while speaks for it, also without a byte.
    func judgeAtEnd(_ slot: UInt32, _ reason: CloseReason) {
        let connection = slab.connection(slot)
        guard connection.pointee.rounds == nil, connection.pointee.verdict == .open, reason != .backendReset else {
            return
        }
        if now - connection.pointee.connectedAt > ejection.hastyEnd { instanceSpoke(slot) }
    }
}
