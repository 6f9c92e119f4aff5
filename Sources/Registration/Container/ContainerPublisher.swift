// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel

/// Makes of a container's published port what stands in the registry, once it is known who we are.
struct ContainerPublisher {
    private let configuration: ContainerRegistrarConfiguration
    private let host: ContainerRegistrar.Host
    private let process: UInt64
    /// Once found it stays: finding it may take a look-up, which must not delay what follows.
    private var source: IPAddress?
    /// From the first registration on.
    private(set) var identity: NodeIdentity?

    init(configuration: ContainerRegistrarConfiguration, host: ContainerRegistrar.Host, process: UInt64) {
        self.configuration = configuration
        self.host = host
        self.process = process
    }

    /// - Throws: `IdentityError` or `Registration.Problem`, naming what would help.
    mutating func registration(
        of sighting: ContainerVerdict.Sighting, _ engine: ContainerSituation.Engine
    ) async throws -> Registration {
        let endpoint = try await endpoint(of: sighting, engine)
        let identity = try self.identity ?? identify(at: endpoint.address, engine)
        let selector = configuration.selector
        let name = Registration.instanceName(
            node: identity.node, container: sighting.container, port: selector.port, transport: selector.transport)
        let registration = try Registration(
            service: configuration.service, endpoint: endpoint, fields: configuration.fields,
            instance: configuration.instance ?? name, container: sighting.container, proto: selector.transport.rawValue)
        self.identity = identity
        return registration
    }

    private mutating func endpoint(
        of sighting: ContainerVerdict.Sighting, _ engine: ContainerSituation.Engine
    ) async throws -> Endpoint {
        var address = PublishedAddress(
            binding: nil, advertise: configuration.advertise, interface: configuration.advertiseInterface,
            allowsLoopback: configuration.allowsLoopback, addressesOfInterface: host.addressesOfInterface,
            sourceAddress: { nil })
        address.label = sighting.labels[PublishedAddress.labelName]
        address.containerAddresses = engine.addresses
        if source == nil, address.needsSource(for: sighting.bindings) { source = await host.sourceAddress() }
        address.sourceAddress = { [source] in source }
        return try address.choose(among: sighting.bindings)
    }

    private func identify(
        at address: IPAddress, _ engine: ContainerSituation.Engine
    ) throws(IdentityError) -> NodeIdentity {
        var surroundings = host.surroundings
        surroundings.isContainer = surroundings.isContainer || engine.hasUs
        return try NodeIdentity.resolve(
            surroundings, address: address, zone: configuration.zone, version: configuration.version, random: process)
    }
}
