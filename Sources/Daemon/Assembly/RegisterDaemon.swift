// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Docker
private import Etcd
private import Glibc
private import Logging
private import Registration
private import ServiceLifecycle
private import ServiceModel

/// `legation register`: what it is told of stands in etcd for as long as this process lives.
package enum RegisterDaemon {
    /// - Returns: the process's exit status.
    package static func run(_ configuration: RegisterConfiguration) async -> Int32 {
        DaemonRun.ignoreBrokenPipes()
        DaemonRun.endAtSignals()
        let logger = DaemonRun.makeLogger(level: configuration.logLevel)
        let place = await EtcdSearch().configuration(for: configuration.etcd, logger: logger)
        do {
            switch configuration.subject {
            case .address(let endpoint, let service):
                let (identity, registration) = try await registration(
                    of: service, at: endpoint, configuration, toward: place)
                let etcd = try EtcdParts(place, logger: logger)
                var settings = RegistratorConfiguration(layout: configuration.etcd.layout, identity: identity)
                settings.also = configuration.also
                settings.timeToLive = configuration.timeToLive
                settings.drainTime = configuration.drainTime
                settings.onExit = configuration.onExit
                let registrator = Registrator(
                    store: etcd.store, configuration: settings, registrations: [registration], logger: logger)
                let upkeep = withdrawing(configuration, logger: logger) {
                    try await registrator.run()
                } atShutdown: {
                    registrator.withdraw()
                }
                return await DaemonRun.run(leavingTheRestToTheLease + [etcd.service, upkeep], logger: logger)
            case .containers(let claims, let engine):
                return try await follow(claims, of: engine, configuration, etcd: place, logger: logger)
            }
        } catch let error as EtcdError {
            Console.complain("legation register: \(error)")
            return DaemonRun.failure
        } catch {
            Console.complain("legation register: \(error)")
            return UsageError.exitStatus
        }
    }

    /// - Throws: `IdentityError` or `Registration.Problem`, naming what would help.
    private static func registration(
        of service: ServiceName, at endpoint: Endpoint, _ configuration: RegisterConfiguration,
        toward etcd: EtcdConfiguration
    ) async throws -> (NodeIdentity, Registration) {
        // Asked for only when it may be needed: it takes a lookup when etcd is given by name.
        let source = endpoint.address.isUnspecified ? await OwnAddresses.source(toward: etcd.endpoints) : nil
        let address = try PublishedAddress(
            binding: endpoint.address, advertise: configuration.advertise, interface: configuration.advertiseInterface,
            allowsLoopback: configuration.allowsLoopback, addressesOfInterface: addresses(of:),
            sourceAddress: { source }
        ).choose()
        let identity = try NodeIdentity.resolve(
            HostFacts.surroundings(node: configuration.node), address: address, zone: configuration.zone,
            version: Version.number, random: UInt64.random(in: .min ... .max))
        let name = Registration.instanceName(node: identity.node, host: address.description, port: endpoint.port)
        let registration = try Registration(
            service: service, endpoint: Endpoint(address, port: endpoint.port), fields: configuration.fields,
            instance: configuration.instance ?? name)
        try registration.check(
            in: configuration.etcd.layout, also: configuration.also, node: identity.node)
        return (identity, registration)
    }

    private static func follow(
        _ claims: ContainerClaims, of engine: DockerAddress, _ configuration: RegisterConfiguration,
        etcd place: EtcdConfiguration, logger: Logger
    ) async throws -> Int32 {
        var settings = ContainerRegistrarConfiguration(
            claims: claims, layout: configuration.etcd.layout, version: Version.number)
        settings.also = configuration.also
        settings.timeToLive = configuration.timeToLive
        settings.drainTime = configuration.drainTime
        settings.onExit = configuration.onExit
        settings.zone = configuration.zone
        settings.advertise = configuration.advertise
        settings.advertiseInterface = configuration.advertiseInterface
        settings.allowsLoopback = configuration.allowsLoopback
        let host = ContainerRegistrar.Host(
            surroundings: HostFacts.surroundings(node: configuration.node), addressesOfInterface: addresses(of:),
            sourceAddress: { await OwnAddresses.source(toward: place.endpoints) })
        let etcd = try EtcdParts(place, logger: logger)
        return try await DockerClient.withClient(to: engine) { client in
            let feed = ContainerFeed(engine: client, inspects: claims.needInspections, logger: logger)
            let registrar = ContainerRegistrar(
                store: etcd.store, configuration: settings, updates: feed.updates, host: host,
                prober: ConnectProber(), logger: logger)
            let upkeep = withdrawing(configuration, logger: logger) {
                try await registrar.run()
            } atShutdown: {
                registrar.withdraw()
            }
            let services: [any Service] = [etcd.service, CancelledAtShutdown { try await feed.run() }, upkeep]
            return await DaemonRun.run(leavingTheRestToTheLease + services, logger: logger) { error in
                complaint(about: error, engine: engine).map { "legation register: \($0)" }
            }
        }
    }

    /// What only an operator can mend.
    private static func complaint(about error: any Error, engine: DockerAddress) -> String? {
        switch error {
        case let error as IdentityError: return error.description
        case let error as Registration.Problem: return error.description
        case let error as DockerError where error.code == .forbidden:
            let file = engine.socketPath.flatMap { SocketFile(at: $0) }
            return "\(Setting.named(.docker).flag): \(file?.complaint ?? error.description)"
        case let error as DockerError where error.code == .tooOld:
            return "\(Setting.named(.docker).flag): \(error)"
        default: return nil
        }
    }

    // MARK: What both have in common

    /// First in the group. Nothing here can be hurried but by leaving the rest to the lease.
    private static var leavingTheRestToTheLease: [any Service] {
        [CancelledAtShutdown { await HurrySignal { _exit(DaemonRun.failure) }.run() }]
    }

    private static func withdrawing(
        _ configuration: RegisterConfiguration, logger: Logger, _ body: @escaping @Sendable () async throws -> Void,
        atShutdown withdraw: @escaping @Sendable () -> Void
    ) -> any Service {
        ToldAtShutdown(body) {
            let metadata: Logger.Metadata =
                switch configuration.onExit {
                case .deregister: ["drain": "\(DurationText.format(configuration.drainTime))"]
                case .keep: ["keep": "\(DurationText.format(configuration.timeToLive))"]
                }
            logger.info("stopping", metadata: metadata)
            withdraw()
        }
    }

    private static func addresses(of interface: String) -> [IPAddress] {
        OwnAddresses.readInterfaces().filter { $0.name == interface }.map(\.address)
    }
}
