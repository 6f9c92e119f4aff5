// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// What a `ContainerRegistrar` goes by.
package struct ContainerRegistrarConfiguration: Sendable {
    /// Of what is published.
    package var claims: ContainerClaims
    package var layout: KeyLayout
    /// Other programs' forms in which each instance stands as well.
    package var also: [SecondForm] = []
    /// Of the lease, before the delete, and in the end: see `RegistratorConfiguration`.
    package var timeToLive = Duration.seconds(10)
    package var drainTime = Duration.seconds(1)
    package var onExit = ExitPolicy.deregister
    package var zone: String?
    /// Of the program.
    package var version: String
    /// `--advertise`: one of each family at most.
    package var advertise: [IPAddress] = []
    /// `--advertise-interface`.
    package var advertiseInterface: String?
    /// `--allow-loopback`.
    package var allowsLoopback = false

    package init(claims: ContainerClaims, layout: KeyLayout, version: String) {
        self.claims = claims
        self.layout = layout
        self.version = version
    }
}
