// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import SwiftProtobuf
internal import Synchronization

extension WatchMultiplexer {
    func relist(_ id: WatchStateMachine.WatcherID, _ range: KeyRange, on client: EtcdClient) async {
        client.relisted()
        var attempt = 0
        while !Task.isCancelled, let consumer = state.withLock({ $0.consumers[id] }) {
            do {
                let epoch = state.withLock { $0.machine.epoch }
                let listing = try await client.list(range)
                if let rest = state.withLock({ $0.deliver(listing, to: id, askedIn: epoch) }) {
                    perform(rest)
                    return
                }
            } catch {
                guard error.isTransient else {
                    consumer.finish(throwing: error)
                    return remove(id)
                }
            }
            attempt += 1
            try? await client.pause(afterAttempt: attempt)
        }
    }

    /// What is left for the stream itself to do.
    struct Orders {
        var leaveBecause: String?
        var renewsToken = false
    }

    @discardableResult
    func step(_ event: (inout WatchStateMachine) -> [WatchStateMachine.Action]) -> Orders {
        let rest = state.withLock { state in
            let actions = event(&state.machine)
            return state.carryOut(actions)
        }
        return perform(rest)
    }

    @discardableResult
    func perform(_ actions: [WatchStateMachine.Action]) -> Orders {
        var orders = Orders()
        for action in actions {
            switch action {
            case .relist(let id, let range): jobContinuation.yield(.relist(id, range))
            case .rest(let id, let attempt): jobContinuation.yield(.rest(id, attempt: attempt))
            case .fail(let id, let code, let reason):
                let consumer = state.withLock { $0.consumers.removeValue(forKey: id) }
                consumer?.finish(throwing: EtcdError(code, "watch refused: \(reason)"))
            case .reconnect(let reason): orders.leaveBecause = reason
            case .renewToken: orders.renewsToken = true
            case .create, .cancel, .deliver: break
            }
        }
        return orders
    }
}

extension WatchMultiplexer.State {
    /// Does what must not be overtaken: requests go on the stream, events to their consumers.
    /// - Returns: what is left to do outside the lock.
    mutating func carryOut(_ actions: [WatchStateMachine.Action]) -> [WatchStateMachine.Action] {
        var rest: [WatchStateMachine.Action] = []
        for action in actions {
            switch action {
            case .create(let watchID, let range, let revision):
                requests?.yield(.create(watchID, range, from: revision))
            case .cancel(let watchID):
                requests?.yield(.with { $0.cancelRequest.watchID = watchID })
            case .deliver(let id, let events):
                rest += deliver(events, to: id)
            case .relist, .fail, .reconnect, .rest, .renewToken:
                rest.append(action)
            }
        }
        return rest
    }

    private mutating func deliver(
        _ events: [WatchEvent], to id: WatchStateMachine.WatcherID
    ) -> [WatchStateMachine.Action] {
        guard let consumer = consumers[id] else { return [] }
        for event in events where !consumer.push(event) {
            var actions = machine.overflowed(id)
            // It may have come back before we knew that it was away.
            if consumer.isStarved { actions += machine.drained(id) }
            return carryOut(actions)
        }
        return []
    }

    /// A list is looked at, delivered and noted in one step: history may break at any other moment.
    /// - Parameter epoch: the machine's, when the list was asked for.
    /// - Returns: nil when it is not good enough, and another is to be asked for.
    mutating func deliver(
        _ listing: Listing, to id: WatchStateMachine.WatcherID, askedIn epoch: Int
    ) -> [WatchStateMachine.Action]? {
        guard machine.mayDeliver(id, at: listing.revision, epoch: epoch), let consumer = consumers[id] else {
            return nil
        }
        _ = consumer.push(.reset(listing))
        return carryOut(machine.relisted(id, at: listing.revision))
    }
}
