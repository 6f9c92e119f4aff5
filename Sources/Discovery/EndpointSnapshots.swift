// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
package import ServiceModel
import Synchronization

/// The newest snapshot of each service that the consumer has not taken yet; one consumer.
///
/// Not a queue: a consumer that is slow misses snapshots that a newer one has replaced, and costs no memory. Asking for
/// the next one says that all those taken before have been passed on to the relay.
///
/// ## Concurrency
/// All state is behind one lock.
package struct EndpointSnapshots: AsyncSequence, Sendable {
    package typealias Element = (ServiceName, EndpointSnapshot)

    fileprivate struct State {
        var waiting: [ServiceName: EndpointSnapshot] = [:]
        /// Services in `waiting`, the one that has waited longest first.
        var order: [ServiceName] = []
        var taken: [ServiceName: UInt64] = [:]
        var passedOn: [ServiceName: UInt64] = [:]
        var isFinished = false
    }

    fileprivate final class Storage: Sendable {
        let state = Mutex(State())
        let signal = Signal()
    }

    private let storage = Storage()

    func publish(_ snapshot: EndpointSnapshot, of service: ServiceName) {
        storage.state.withLock { state in
            if state.waiting.updateValue(snapshot, forKey: service) == nil { state.order.append(service) }
        }
        storage.signal.raise()
    }

    func finish() {
        storage.state.withLock { $0.isFinished = true }
        storage.signal.raise()
    }

    /// Whether the consumer has passed on a snapshot of the service at least as new.
    func havePassedOn(_ service: ServiceName, _ sequence: UInt64) -> Bool {
        storage.state.withLock { $0.passedOn[service, default: 0] >= sequence }
    }

    package func makeAsyncIterator() -> Iterator { Iterator(storage: storage) }

    package struct Iterator: AsyncIteratorProtocol {
        fileprivate let storage: Storage

        /// - Returns: nil when there will be no more, or when the task is cancelled.
        package func next() async -> Element? {
            while !Task.isCancelled {
                let (element, isFinished) = storage.state.withLock { state -> (Element?, Bool) in
                    state.passedOn.merge(state.taken) { $1 }
                    state.taken = [:]
                    guard !state.order.isEmpty else { return (nil, state.isFinished) }
                    let service = state.order.removeFirst()
                    guard let snapshot = state.waiting.removeValue(forKey: service) else { return (nil, false) }
                    state.taken[service] = snapshot.sequence
                    return ((service, snapshot), false)
                }
                if let element { return element }
                if isFinished { return nil }
                await storage.signal.wait()
            }
            return nil
        }
    }
}
