// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// What an `EndpointWatcher` goes by.
package struct DiscoveryConfiguration: Sendable {
    package var layout: KeyLayout
    /// The linked services; one that is linked twice is watched once.
    package var services: [ServiceName]
    /// Services that are not here stand where the layout has them, each entry as it looks.
    package var sources: [ServiceName: EntrySource]
    package var policy: TargetPolicy
    /// Services that are not here use whatever there is.
    package var selections: [ServiceName: Selection]
    /// Services that are not here are kept, and refused when empty.
    package var absences: [ServiceName: AbsencePolicy]
    /// How long an instance whose key went with too many others may be used on (`--hold`, 60 s); 0: not at all.
    package var hold: Duration
    /// Our own listeners, unspecified addresses expanded to the host's: entries that name one are refused (loop).
    package var ownEndpoints: @Sendable () -> [Endpoint]
    /// Whether the relay has let go of an instance for good (`RelayEngine.hasReleased`).
    package var released: @Sendable (InstanceID) -> Bool
    /// Who tells others, through the registry, what this process holds; nil tells nobody.
    package var holder: Holder?
    /// Looks names up, for services whose source allows them; nil looks nothing up.
    package var resolver: (any NameResolver)?
    /// Where what is known outlives the process; nil keeps nothing.
    package var lastGood: (any LastGoodStore)?

    /// A process that holds instances, as others see it.
    package struct Holder: Sendable, Hashable {
        package let node: String
        /// Different for every start, see `Registration`'s identity.
        package let process: String

        package init(node: String, process: String) {
            self.node = node
            self.process = process
        }
    }

    package init(
        layout: KeyLayout, services: [ServiceName], sources: [ServiceName: EntrySource] = [:],
        policy: TargetPolicy = TargetPolicy(), selections: [ServiceName: Selection] = [:],
        absences: [ServiceName: AbsencePolicy] = [:], hold: Duration = .seconds(60), holder: Holder? = nil,
        resolver: (any NameResolver)? = nil, lastGood: (any LastGoodStore)? = nil,
        ownEndpoints: @escaping @Sendable () -> [Endpoint] = { [] },
        released: @escaping @Sendable (InstanceID) -> Bool
    ) {
        self.layout = layout
        self.services = services
        self.sources = sources
        self.policy = policy
        self.selections = selections
        self.absences = absences
        self.hold = hold
        self.holder = holder
        self.resolver = resolver
        self.lastGood = lastGood
        self.ownEndpoints = ownEndpoints
        self.released = released
    }
}
