// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Which instances of a service have left, and when what they still serve is to end (`--drain-timeout`).
///
/// Whoever takes no new connections has left: its key is gone, it drains, it has no weight, or it is not selected any
/// more. An instance goes by its address: another key, or another node's, is no departure.
///
/// No clock runs while nobody is there, or only who takes over then (`--on-empty`): there would be nobody to come back
/// to, and it may only mean that registrators are cut off. Nor does one while the registry is silent: who is back could
/// not be seen.
package struct Departures {
    private struct Known {
        var instance: Instance
        /// Nil: it is there.
        var deadline: ContinuousClock.Instant?
    }

    private let timeout: Duration
    private let fallback: InstanceAddress?
    /// Who is there, and who may still have connections.
    private var known: [InstanceID: Known] = [:]

    /// - Parameters:
    ///   - timeout: 0 or more; how long connections to an instance that has left may go on.
    ///   - fallback: who takes over when nobody is left (`--on-empty`).
    package init(timeout: Duration, fallback: Endpoint? = nil) {
        self.timeout = timeout
        self.fallback = fallback.map { .network($0) }
    }

    /// - Parameter isOpen: whether an instance has connections.
    /// - Returns: who has left with this snapshot.
    /// - Complexity: O(instances).
    package mutating func follow(
        _ snapshot: EndpointSnapshot, now: ContinuousClock.Instant, isOpen: (InstanceID) -> Bool
    ) -> [Instance] {
        let present = Set(snapshot.instances.map(\.id))
        let addresses = Set(snapshot.instances.map(\.address))
        let isAnybodyThere = addresses.contains { $0 != fallback }
        for instance in snapshot.instances { known[instance.id] = Known(instance: instance) }
        var left: [Instance] = []
        for (id, one) in known where !present.contains(id) {
            let isThere = addresses.contains(one.instance.address)
            if isThere, !isOpen(id) {
                // What is at its address goes by another ID now.
                known[id] = nil
            } else if isThere || !isAnybodyThere {
                known[id]?.deadline = nil
            } else if one.deadline == nil {
                known[id]?.deadline = now + timeout
                left.append(one.instance)
            }
        }
        return left
    }

    /// Nothing is heard of the registry: clocks that run begin anew.
    package mutating func hearNothing(now: ContinuousClock.Instant) {
        for (id, one) in known where one.deadline != nil { known[id]?.deadline = now + timeout }
    }

    /// - Returns: those whose time is over; they are forgotten.
    package mutating func takePassed(by now: ContinuousClock.Instant) -> [Instance] {
        let passed = known.values.filter { $0.deadline.map { $0 <= now } ?? false }.map(\.instance)
        for instance in passed { known[instance.id] = nil }
        return passed
    }
}
