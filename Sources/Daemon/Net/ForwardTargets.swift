// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// The targets of `forward` as addresses: literals as they are, names as last resolved, in the order of preference.
///
/// A pure state machine; `TargetResolver` asks and tells it.
package struct ForwardTargets: Sendable {
    /// What an answer changed, for the log.
    package enum Change: Hashable, Sendable {
        case none
        /// The name has these addresses now.
        case resolved([IPAddress])
        /// The name has no answer for the first time since it had one (or since the start).
        case failed(String)
    }

    private let targets: [ForwardTarget]
    private var answers: [String: [IPAddress]] = [:]
    private var failing: Set<String> = []
    private var slots = InstanceSlots()
    private var sequence: UInt64 = 0
    private var given: [InstanceAddress]?
    /// Targets left out because they are our own listeners.
    package private(set) var loops: Set<InstanceAddress> = []

    package init(_ targets: [ForwardTarget]) { self.targets = targets }

    /// What has to be looked up, each once.
    package var names: [String] {
        var seen: Set<String> = []
        return targets.compactMap(\.name).filter { seen.insert($0).inserted }
    }

    /// Whether the preferred target needs no lookup.
    package var isFirstLiteral: Bool { targets.first?.name == nil }

    /// Whether a name has never had an answer: then it is asked for more often.
    package var lacksAnswer: Bool { names.contains { answers[$0] == nil } }

    /// A failed lookup changes nothing but the log: the last good answer is kept.
    package mutating func answered(_ name: String, _ answer: NameLookup.Answer) -> Change {
        switch answer {
        case .addresses(let addresses):
            let wasFailing = failing.remove(name) != nil
            // Round-robin DNS turns its list at every answer: only another set is a change, and the order stays.
            if !wasFailing, let old = answers[name], Set(old) == Set(addresses) { return .none }
            if let old = answers[name], Set(old) == Set(addresses) { return .resolved(old) }
            answers[name] = addresses
            return .resolved(addresses)
        case .failure(let reason):
            return failing.insert(name).inserted ? .failed(reason) : .none
        }
    }

    /// - Parameters:
    ///   - isOwn: whether an address is one of our own listeners: a loop that would eat every descriptor.
    ///   - isReleased: whether the relay has let go of an instance.
    /// - Returns: the next snapshot, nil when nothing has changed since the last.
    package mutating func snapshot(
        isOwn: (InstanceAddress) -> Bool = { _ in false }, isReleased: (InstanceID) -> Bool
    ) -> EndpointSnapshot? {
        var seen: Set<InstanceAddress> = []
        let all = targets.flatMap { $0.addresses(by: answers) }.filter { seen.insert($0).inserted }
        loops = seen.filter(isOwn)
        seen.subtract(loops)
        slots.keep(seen, isReleased: isReleased)
        let addresses = all.filter(seen.contains)
        guard addresses != given else { return nil }
        given = addresses
        sequence += 1
        let instances = addresses.map { Instance(id: slots.id(of: $0), address: $0) }
        return EndpointSnapshot(sequence: sequence, instances: instances)
    }
}
