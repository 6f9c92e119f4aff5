// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Etcd
private import Glibc
private import Logging
private import Registration
private import ServiceLifecycle
private import ServiceModel

/// `legation register --address`: one instance in etcd for as long as this process lives.
package enum RegisterDaemon {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: RegisterConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        do {
            let place = await EtcdSearch().configuration(for: configuration.etcd, logger: logger)
            let address = try await publishedAddress(configuration, toward: place)
            let identity = try NodeIdentity.resolve(
                HostFacts.surroundings(node: configuration.node), address: address, zone: configuration.zone,
                version: Version.number, random: UInt64.random(in: .min ... .max))
            let endpoint = Endpoint(address, port: configuration.address.port)
            let name = Registration.instanceName(
                node: identity.node, host: address.description, port: endpoint.port)
            let registration = try Registration(
                service: configuration.service, endpoint: endpoint, fields: configuration.fields,
                instance: configuration.instance ?? name)
            return try await publish(registration, as: identity, configuration, etcd: place, logger: logger)
        } catch let error as EtcdError {
            Console.complain("legation register: \(error)")
            return DaemonRun.failure
        } catch {
            Console.complain("legation register: \(error)")
            return UsageError.exitStatus
        }
    }

    private static func publish(
        _ registration: Registration, as identity: NodeIdentity, _ configuration: RegisterConfiguration,
        etcd place: EtcdConfiguration, logger: Logger
    ) async throws -> Int32 {
        let etcd = try EtcdParts(place, logger: logger)
        var settings = RegistratorConfiguration(layout: configuration.etcd.layout, identity: identity)
        settings.timeToLive = configuration.timeToLive
        settings.drainTime = configuration.drainTime
        let registrator = Registrator(
            store: etcd.store, configuration: settings, registrations: [registration], logger: logger)
        let services: [any Service] = [
            // Nothing here can be hurried but by leaving the rest to the lease.
            CancelledAtShutdown { await HurrySignal { _exit(DaemonRun.failure) }.run() },
            etcd.service,
            ToldAtShutdown {
                try await registrator.run()
            } atShutdown: {
                logger.info("stopping", metadata: ["drain": "\(DurationText.format(configuration.drainTime))"])
                registrator.withdraw()
            },
        ]
        return await DaemonRun.run(services, logger: logger)
    }

    /// - Throws: `IdentityError`, naming the flag that would help.
    private static func publishedAddress(
        _ configuration: RegisterConfiguration, toward etcd: EtcdConfiguration
    ) async throws -> IPAddress {
        let own = OwnAddresses()
        let binding = configuration.address.address
        // Asked for only when it may be needed: it takes a lookup when etcd is given by name.
        let source = binding.isUnspecified ? await OwnAddresses.source(toward: etcd.endpoints) : nil
        return try PublishedAddress(
            binding: binding, advertise: configuration.advertise, interface: configuration.advertiseInterface,
            allowsLoopback: configuration.allowsLoopback,
            addressesOfInterface: { name in own.interfaces.filter { $0.name == name }.map(\.address) },
            sourceAddress: { source }
        ).choose()
    }
}
