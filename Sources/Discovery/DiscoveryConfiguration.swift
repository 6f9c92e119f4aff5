// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// What an `EndpointWatcher` goes by.
package struct DiscoveryConfiguration: Sendable {
    package var layout: KeyLayout
    /// The linked services; one that is linked twice is watched once.
    package var services: [ServiceName]
    package var policy: TargetPolicy
    /// How long an instance whose key went with too many others may be used on (`--hold`, 60 s); 0: not at all.
    package var hold: Duration
    /// Our own listeners, unspecified addresses expanded to the host's: entries that name one are refused (loop).
    package var ownEndpoints: @Sendable () -> [Endpoint]
    /// Whether the relay has let go of an instance for good (`RelayEngine.hasReleased`).
    package var released: @Sendable (InstanceID) -> Bool
    /// Who tells others, through the registry, what this process holds; nil tells nobody.
    package var holder: Holder?

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
        layout: KeyLayout, services: [ServiceName], policy: TargetPolicy = TargetPolicy(),
        hold: Duration = .seconds(60), holder: Holder? = nil,
        ownEndpoints: @escaping @Sendable () -> [Endpoint] = { [] },
        released: @escaping @Sendable (InstanceID) -> Bool
    ) {
        self.layout = layout
        self.services = services
        self.policy = policy
        self.hold = hold
        self.holder = holder
        self.ownEndpoints = ownEndpoints
        self.released = released
    }
}
