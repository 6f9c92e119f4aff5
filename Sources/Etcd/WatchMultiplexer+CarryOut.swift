// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import SwiftProtobuf

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
