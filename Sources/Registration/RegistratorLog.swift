// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Registry
import ServiceModel
import Synchronization

/// What a `Registrator` tells: every change of state once, all of them counted.
final class RegistratorLog: Sendable {
    private struct State {
        var statistics = RegistratorStatistics()
        var leases = 0
        var hasSaidWaiting = false
        var lastFailure: RegistryError.Code?
        var lastRival: PresenceRecord?
    }

    private let logger: Logger
    private let node: String
    private let state = Mutex(State())

    init(logger: Logger, node: String) {
        self.logger = logger
        self.node = node
    }

    var statistics: RegistratorStatistics { state.withLock { $0.statistics } }

    func waiting() {
        let isNew = state.withLock { state in
            defer { state.hasSaidWaiting = true }
            return !state.hasSaidWaiting
        }
        if isNew { logger.warning("waiting for the registry") }
    }

    func leaseGranted(_ lease: RegistryLease) {
        let isFirst = state.withLock { state in
            state.leases += 1
            state.statistics.leasesLost = state.leases - 1
            return state.leases == 1
        }
        logger.log(level: isFirst ? .debug : .info, "lease granted", metadata: ["lease": "\(lease)"])
    }

    func leaseLost(_ lease: RegistryLease) {
        logger.warning("lease lost", metadata: ["lease": "\(lease)"])
    }

    /// - Parameter repeated: what was told before and still holds: counted only.
    func tell(_ notices: [RegistrationPlanner.Notice], repeated: [RegistrationPlanner.Notice] = []) {
        for notice in notices + repeated { count(notice) }
        for notice in notices {
            switch notice {
            case .registered(let registration, let key): tell("registered", registration, key)
            case .moved(let registration, let key, let former):
                logger.info(
                    "address changed",
                    metadata: [
                        "service": "\(registration.service)", "key": "\(key)", "from": "\(former)",
                        "to": "\(registration.endpoint)",
                    ])
            case .draining(let registration, let key): tell("draining", registration, key)
            case .upAgain(let registration, let key): tell("up again", registration, key)
            case .withdrawn(let registration, let key): withdrawn(registration, key: key)
            case .changed(let key):
                logger.warning("key was changed by somebody else and is put back", metadata: ["key": "\(key)"])
            case .foreignOwner(let key, let node):
                logger.error(
                    "key belongs to another node", metadata: ["key": "\(key)", "node": "\(node ?? "unknown")"])
            case .yielded(let key):
                logger.info("key was taken over by a newer process of this node", metadata: ["key": "\(key)"])
            }
        }
    }

    private func tell(_ message: Logger.Message, _ registration: Registration, _ key: String) {
        logger.info(
            message,
            metadata: [
                "service": "\(registration.service)", "key": "\(key)", "endpoint": "\(registration.endpoint)",
            ])
    }

    private func withdrawn(_ registration: Registration, key: String) {
        logger.info("withdrawn", metadata: ["service": "\(registration.service)", "key": "\(key)"])
    }

    private func count(_ notice: RegistrationPlanner.Notice) {
        state.withLock { state in
            switch notice {
            case .registered, .moved, .draining, .upAgain, .withdrawn: break
            case .changed: state.statistics.changesUndone += 1
            case .foreignOwner: state.statistics.foreignOwners += 1
            case .yielded: state.statistics.yielded += 1
            }
        }
    }

    /// - Parameter rival: who goes by our name now; nil for nobody.
    func rival(_ rival: PresenceRecord?) {
        let isNew = state.withLock { state in
            if rival != nil { state.statistics.rivals += 1 }
            defer { state.lastRival = rival }
            return rival != nil && rival != state.lastRival
        }
        guard isNew, let rival else { return }
        logger.error(
            "two hosts call themselves by one name",
            metadata: [
                "node": "\(node)", "address": "\(rival.address?.description ?? "unknown")", "boot": "\(rival.boot)",
                "since": "\(rival.since)",
            ])
    }

    func succeeded() { state.withLock { $0.lastFailure = nil } }

    /// - Parameter isWaiting: nothing has been published yet.
    func failed(_ error: RegistryError, isWaiting: Bool) {
        guard error.code != .cancelled else { return }
        let isNew = state.withLock { state in
            state.statistics.failures += 1
            defer { state.lastFailure = error.code }
            return state.lastFailure != error.code
        }
        if error.code == .unavailable, isWaiting { waiting() }
        guard isNew else { return }
        let isExpected = error.code == .unavailable || error.code == .leaseNotFound
        logger.log(
            level: isExpected ? .debug : .error, "registry refuses a request", metadata: ["error": "\(error)"])
    }

    /// They stay as they are until the lease ends.
    func left(_ own: [(registration: Registration, key: String)], for timeToLive: Duration) {
        for (registration, key) in own {
            logger.info(
                "left to the lease",
                metadata: [
                    "service": "\(registration.service)", "key": "\(key)",
                    "seconds": "\(timeToLive.components.seconds)",
                ])
        }
    }

    /// - Parameter isInOrder: they were said to be draining first.
    func withdrawn(_ own: [(registration: Registration, key: String)], isInOrder: Bool) {
        if !isInOrder { logger.warning("could not say draining; the lease's end says that we are gone") }
        for (registration, key) in own { withdrawn(registration, key: key) }
    }
}
