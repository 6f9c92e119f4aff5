// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// What a `ContainerRegistrar` goes by.
package struct ContainerRegistrarConfiguration: Sendable {
    package var selector: ContainerSelector
    package var service: ServiceName
    /// What the operator adds.
    package var fields = RecordFields.none
    /// `--instance`; nil for `<node>:<container>:<port>`.
    package var instance: String?
    package var layout: KeyLayout
    /// Of the lease and before the delete: see `RegistratorConfiguration`.
    package var timeToLive = Duration.seconds(10)
    package var drainTime = Duration.seconds(1)
    package var zone: String?
    /// Of the program.
    package var version: String
    /// `--advertise`.
    package var advertise: IPAddress?
    /// `--advertise-interface`.
    package var advertiseInterface: String?
    /// `--allow-loopback`.
    package var allowsLoopback = false

    package init(selector: ContainerSelector, service: ServiceName, layout: KeyLayout, version: String) {
        self.selector = selector
        self.service = service
        self.layout = layout
        self.version = version
    }
}
