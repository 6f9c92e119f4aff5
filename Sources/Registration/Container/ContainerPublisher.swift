// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel

/// Makes of claimed ports what stands in the registry: finds out where each is reached, and who we are.
struct ContainerPublisher {
    /// What a view comes to.
    struct Outcome {
        var offers: [InstanceWatch.Offer] = []
        /// In the order of the findings; of an offer its address.
        var results: [(finding: ContainerFinding, result: Result<Endpoint, any Error>)] = []
        /// Why nothing of it can be published at all.
        var unidentified: IdentityError?

        /// Whether it is to be tried again though nothing changes: an interface may get its address, a name its answer.
        var isUnfinished: Bool {
            unidentified != nil || results.contains { if case .failure = $0.result { true } else { false } }
        }
    }

    private let configuration: ContainerRegistrarConfiguration
    private let host: ContainerRegistrar.Host
    private let process: UInt64
    /// Once found it stays: finding it may take a look-up, which must not delay what follows.
    private var source: IPAddress?
    /// From the first registration on, or with labels from the first listing on.
    private(set) var identity: NodeIdentity?

    init(configuration: ContainerRegistrarConfiguration, host: ContainerRegistrar.Host, process: UInt64) {
        self.configuration = configuration
        self.host = host
        self.process = process
    }

    mutating func outcome(of view: ContainerSituation.View) async -> Outcome {
        var outcome = Outcome()
        guard view.hasListing else { return outcome }
        // Read once: 300 containers are no reason to ask the kernel 300 times.
        let addresses = configuration.advertiseInterface.map(host.addressesOfInterface) ?? []
        await findSource(view)
        let published = published(view, addresses)
        if identity == nil {
            do throws(IdentityError) {
                try identify(view, published, addresses)
            } catch {
                outcome.unidentified = error
            }
        }
        for (finding, sighting, endpoint) in published {
            do {
                let endpoint = try endpoint.get()
                guard let node = identity?.node, let container = finding.container else { continue }
                let offer = InstanceWatch.Offer(
                    id: InstanceWatch.ID(
                        container: container, port: finding.claim.port, endpoint: endpoint,
                        transport: finding.claim.transport),
                    wanted: Wanted(try registration(of: finding, sighting, at: endpoint, node: node), sighting.state),
                    isChecked: sighting.isChecked)
                outcome.offers.append(offer)
                outcome.results.append((finding, .success(endpoint)))
            } catch {
                outcome.results.append((finding, .failure(error)))
            }
        }
        return outcome
    }

    private func registration(
        of finding: ContainerFinding, _ sighting: ContainerVerdict.Sighting, at endpoint: Endpoint, node: String
    ) throws(Registration.Problem) -> Registration {
        let claim = finding.claim
        let name = Registration.instanceName(
            node: node, container: sighting.container, port: claim.port, transport: claim.transport)
        let registration = try Registration(
            service: claim.service, endpoint: endpoint, fields: claim.fields, instance: claim.instance ?? name,
            container: sighting.container, proto: claim.transport.rawValue)
        try registration.check(in: configuration.layout, also: configuration.also, node: node)
        return registration
    }

    // MARK: Addresses

    private typealias Published = (
        finding: ContainerFinding, sighting: ContainerVerdict.Sighting, endpoint: Result<Endpoint, IdentityError>
    )

    private func published(_ view: ContainerSituation.View, _ interface: [IPAddress]) -> [Published] {
        view.findings.compactMap { finding in
            guard case .present(let sighting) = finding.verdict else { return nil }
            let address = address(label: finding.claim.address, view.engine, interface)
            let endpoint = Result { () throws(IdentityError) in try address.choose(among: sighting.bindings) }
            return (finding, sighting, endpoint)
        }
    }

    private func address(
        label: String?, _ engine: ContainerSituation.Engine, _ interface: [IPAddress]
    ) -> PublishedAddress {
        var address = PublishedAddress(
            binding: nil, advertise: configuration.advertise, interface: configuration.advertiseInterface,
            allowsLoopback: configuration.allowsLoopback, addressesOfInterface: { _ in interface },
            sourceAddress: { [source] in source })
        address.label = label
        address.containerAddresses = engine.addresses
        return address
    }

    private mutating func findSource(_ view: ContainerSituation.View) async {
        guard source == nil else { return }
        let address = address(label: nil, view.engine, [])
        let isNeeded = view.findings.contains { finding in
            guard case .present(let sighting) = finding.verdict else { return false }
            return finding.claim.address == nil && address.needsSource(for: sighting.bindings)
                || sighting.isOwnAddress && identity == nil
        }
        let isNeededByUs = configuration.claims.areLabelled && identity == nil
        guard isNeeded || isNeededByUs, !address.isTold else { return }
        source = await host.sourceAddress()
    }

    // MARK: Who we are

    /// One container's address is ours; of many, the one that they have in common, so that our name does not hang on who
    /// happens to run.
    /// - Throws: when there is somebody to say it for, and no address.
    private mutating func identify(
        _ view: ContainerSituation.View, _ published: [Published], _ interface: [IPAddress]
    ) throws(IdentityError) {
        let first = published.lazy.compactMap { one -> IPAddress? in
            one.sighting.isOwnAddress ? nil : try? one.endpoint.get().address
        }.first
        let isCommon = configuration.claims.areLabelled || published.contains { $0.sighting.isOwnAddress }
        let common = address(label: nil, view.engine, interface)
        let found = isCommon ? Result { () throws(IdentityError) in try common.choose() } : nil
        let address: IPAddress
        switch (found, first) {
        case (.success(let own)?, _): address = own
        case (_, let first?): address = first
        case (.failure(let error)?, nil): throw error
        case (nil, nil): return
        }
        var surroundings = host.surroundings
        surroundings.isContainer = surroundings.isContainer || view.engine.hasUs
        identity = try NodeIdentity.resolve(
            surroundings, address: address, zone: configuration.zone, version: configuration.version, random: process)
    }
}
