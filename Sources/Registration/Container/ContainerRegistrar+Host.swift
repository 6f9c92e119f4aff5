// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

extension ContainerRegistrar {
    /// What only the host can say.
    package struct Host: Sendable {
        package var surroundings: NodeIdentity.Surroundings
        /// The addresses of a network interface; empty when there is none of that name.
        package var addressesOfInterface: @Sendable (String) -> [IPAddress]
        /// The source address of our connection to etcd; nil when it cannot be told. Asked once it is needed.
        package var sourceAddress: @Sendable () async -> IPAddress?

        package init(
            surroundings: NodeIdentity.Surroundings,
            addressesOfInterface: @escaping @Sendable (String) -> [IPAddress],
            sourceAddress: @escaping @Sendable () async -> IPAddress?
        ) {
            self.surroundings = surroundings
            self.addressesOfInterface = addressesOfInterface
            self.sourceAddress = sourceAddress
        }
    }
}
