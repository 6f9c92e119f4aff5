// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Which instances of a service have left, and when what they still serve is to end (`--drain-timeout`).
///
/// Whoever is missing from a snapshot has left: its key is gone, it drains, or it is not selected any more. A snapshot
/// without anybody says nothing: nobody would be there to come back to, and it may only mean that the registry is silent
/// (`--on-loss`), which must never cost a connection.
package struct Departures {
    package struct Change: Equatable {
        /// Have left with this snapshot.
        package var left: [Instance] = []
        /// Are back before their time was over.
        package var back: [InstanceID] = []
        /// Of those that have left.
        package var deadline: ContinuousClock.Instant
    }

    private let timeout: Duration
    private let fallback: InstanceAddress?
    private var present: [InstanceID: Instance] = [:]
    private var deadlines: [InstanceID: ContinuousClock.Instant] = [:]

    /// - Parameters:
    ///   - timeout: 0 or more; how long connections to an instance that has left may go on.
    ///   - fallback: who takes over when nobody is left (`--on-empty`), and is nobody in this.
    package init(timeout: Duration, fallback: Endpoint? = nil) {
        self.timeout = timeout
        self.fallback = fallback.map { .network($0) }
    }

    /// - Complexity: O(instances).
    package mutating func follow(_ snapshot: EndpointSnapshot, now: ContinuousClock.Instant) -> Change {
        var change = Change(deadline: now + timeout)
        guard snapshot.instances.contains(where: { $0.address != fallback }) else { return change }
        let before = present
        present = Dictionary(snapshot.instances.map { ($0.id, $0) }) { $1 }
        change.left = before.values.filter { present[$0.id] == nil }
        deadlines = deadlines.filter { id, deadline in
            guard deadline > now else { return false }
            guard present[id] != nil else { return true }
            change.back.append(id)
            return false
        }
        for instance in change.left { deadlines[instance.id] = change.deadline }
        return change
    }
}
