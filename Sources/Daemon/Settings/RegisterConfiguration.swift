// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
private import Glibc
package import Logging
package import Registration
package import Registry
package import ServiceModel

/// `legation register CONTAINER PORT SERVICE [KEY=VALUE...]`, or `--address HOST:PORT SERVICE [KEY=VALUE...]`.
package struct RegisterConfiguration: Sendable {
    /// What is published.
    package enum Subject: Hashable, Sendable {
        /// Where a plain process listens; its address may be unspecified, then this host's own is published.
        case address(Endpoint)
        /// A port of a container of this engine.
        case container(ContainerSelector, DockerAddress)
    }

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let service: ServiceName
    package let subject: Subject
    package let fields: RecordFields
    package let timeToLive: Duration
    package let drainTime: Duration
    package let node: String?
    package let zone: String?
    package let instance: String?
    package let advertise: IPAddress?
    package let advertiseInterface: String?
    package let allowsLoopback: Bool

    /// docs/promises.md, "Registration": a lease of less than 5 s cannot outlive a leader's election.
    private static let timesToLive: ClosedRange<Duration> = .seconds(5) ... .seconds(3600)
    private static let drainTimes: ClosedRange<Duration> = .seconds(0) ... .seconds(3600)
    private static let maximumNameLength = 100

    private static let synopsis = "CONTAINER PORT SERVICE [KEY=VALUE...], or --address HOST:PORT SERVICE [KEY=VALUE...]"
    private static let containerForm =
        "a container's name, [A-Za-z0-9][A-Za-z0-9_.-]*, or the first 12 digits of its id"
    private static let portForm = "a port of the container, 1-65535, with /tcp or /udp behind it or nothing"

    /// - Parameter arguments: SERVICE, then KEY=VALUE; before them CONTAINER and PORT unless `--address` is given.
    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        var rest = arguments[...]
        if let address = try settings.value(.address, Self.reachable) {
            subject = .address(address)
        } else {
            subject = .container(try Self.selector(&rest), try Self.engine(settings))
        }
        guard let name = rest.popFirst() else {
            throw UsageError(missing: "SERVICE", allowed: ServiceName.allowedForm)
        }
        guard let service = ServiceName(name) else {
            throw UsageError("SERVICE", value: name, allowed: ServiceName.allowedForm)
        }
        self.service = service
        do {
            fields = try RecordFields(arguments: Array(rest))
        } catch {
            throw UsageError("KEY=VALUE", value: error.argument, allowed: error.allowedForm)
        }
        timeToLive = try settings.duration(.ttl, in: Self.timesToLive) ?? .seconds(10)
        drainTime = try settings.duration(.drainTime, in: Self.drainTimes) ?? .seconds(1)
        node = try settings.value(.node, Self.name)
        zone = try settings.value(.zone, Self.name)
        instance = try settings.value(.instance) { InstanceName.isAllowed($0) ? $0 : nil }
        allowsLoopback = try settings.isOn(.allowLoopback)
        // Whether it can be published is judged with everything else (`PublishedAddress`).
        advertise = try settings.value(.advertise) { IPAddress($0) }
        advertiseInterface = try settings.value(.advertiseInterface) { $0 }
        etcd = try EtcdAccess(settings: settings)
    }

    private static func selector(_ words: inout ArraySlice<String>) throws(UsageError) -> ContainerSelector {
        guard words.count >= 3 else {
            throw UsageError(missing: ["CONTAINER", "PORT", "SERVICE"][words.count], allowed: synopsis)
        }
        let (container, port) = (words.removeFirst(), words.removeFirst())
        let parts = port.split(separator: "/", omittingEmptySubsequences: false)
        let transport = parts.count == 1 ? .tcp : ContainerPort.Transport(rawValue: String(parts[1]))
        guard parts.count <= 2, parts[0].utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(parts[0]),
            number > 0, let transport, transport != .sctp
        else { throw UsageError("PORT", value: port, allowed: portForm) }
        guard isContainerName(container) else {
            throw UsageError("CONTAINER", value: container, allowed: containerForm)
        }
        return ContainerSelector(name: container, port: number, transport: transport)
    }

    /// As the engine itself demands, with the slash that its API shows in front or without.
    private static func isContainerName(_ text: String) -> Bool {
        let bytes = Array(text.utf8.first == UInt8(ascii: "/") ? text.dropFirst().utf8 : text[...].utf8)
        guard let first = bytes.first else { return false }
        return ServiceName.isAllowed(first) && !Array("._-".utf8).contains(first)
            && bytes.allSatisfy { ServiceName.isAllowed($0) }
    }

    /// `--docker`, else the engine's usual socket, else the one of an engine that belongs to this user alone.
    private static func engine(_ settings: SettingValues) throws(UsageError) -> DockerAddress {
        if let given = try settings.value(.docker, { DockerAddress($0) }) { return given }
        if access(DockerAddress.standardPath, F_OK) != 0, let folder = settings.environment["XDG_RUNTIME_DIR"],
            access("\(folder)/docker.sock", F_OK) == 0, let rootless = DockerAddress("unix://\(folder)/docker.sock")
        {
            return rootless
        }
        return .standard
    }

    private static func reachable(_ text: String) -> Endpoint? {
        Endpoint(text).flatMap { $0.port > 0 ? $0 : nil }
    }

    private static func name(_ text: String) -> String? {
        let isAllowed = text.utf8.allSatisfy { ServiceName.isAllowed($0) || $0 == UInt8(ascii: ":") }
        return isAllowed && text.utf8.count <= maximumNameLength ? text : nil
    }
}
