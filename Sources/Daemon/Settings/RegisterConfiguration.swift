// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
private import Glibc
package import Logging
package import Registration
package import Registry
package import ServiceModel

/// `legation register CONTAINER PORT SERVICE [KEY=VALUE...]`, `--address HOST:PORT SERVICE [KEY=VALUE...]` or `--labels`.
package struct RegisterConfiguration: Sendable {
    /// What is published.
    package enum Subject: Hashable, Sendable {
        /// Where a plain process listens; its address may be unspecified, then this host's own is published.
        case address(Endpoint, ServiceName)
        /// Ports of this engine's containers.
        case containers(ContainerClaims, DockerAddress)
    }

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let subject: Subject
    package let fields: RecordFields
    package let timeToLive: Duration
    package let drainTime: Duration
    package let onExit: ExitPolicy
    /// Their keys never meet.
    package let also: [SecondForm]
    package let node: String?
    package let zone: String?
    package let instance: String?
    /// One of each family at most.
    package let advertise: [IPAddress]
    package let advertiseInterface: String?
    package let allowsLoopback: Bool

    /// docs/promises.md, "Registration": a lease of less than 5 s cannot outlive a leader's election.
    private static let timesToLive: ClosedRange<Duration> = .seconds(5) ... .seconds(3600)
    private static let drainTimes: ClosedRange<Duration> = .seconds(0) ... .seconds(3600)

    private static let synopsis =
        "CONTAINER PORT SERVICE [KEY=VALUE...], --address HOST:PORT SERVICE [KEY=VALUE...] or --labels"
    private static let containerForm =
        "a container's name, [A-Za-z0-9][A-Za-z0-9_.-]*, or the first 12 digits of its id"
    private static let portForm = "a port of the container, 1-65535, with /tcp or /udp behind it or nothing"

    /// - Parameter arguments: SERVICE, then KEY=VALUE; before them CONTAINER and PORT unless `--address` is given.
    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        fields = try Self.fields(arguments, settings)
        subject = try Self.subject(arguments, settings, fields)
        timeToLive = try settings.duration(.ttl, in: Self.timesToLive) ?? .seconds(10)
        drainTime = try settings.duration(.drainTime, in: Self.drainTimes) ?? .seconds(1)
        onExit = try settings.value(.onExit) { ExitPolicy(rawValue: $0) } ?? .deregister
        node = try settings.value(.node, Place.name)
        zone = try settings.value(.zone, Place.name)
        instance = try Self.instance(settings)
        allowsLoopback = try settings.isOn(.allowLoopback)
        // Whether it can be published is judged with everything else (`PublishedAddress`).
        advertise = try Self.advertised(settings)
        advertiseInterface = try settings.value(.advertiseInterface) { $0 }
        etcd = try EtcdAccess(settings: settings)
        also = try Self.forms(settings, beside: etcd.layout)
    }

    private static func forms(
        _ settings: SettingValues, beside layout: KeyLayout
    ) throws(UsageError) -> [SecondForm] {
        var forms: [SecondForm] = []
        for (given, form) in zip(try settings.given(.also), try settings.values(.also) { SecondForm($0) }) {
            if form.collides(with: layout) {
                let own = "\(Setting.named(.prefix).flag) \(layout.prefix)"
                throw UsageError(given.key, value: given.text, allowed: "a PREFIX of its own, apart from \(own)")
            }
            if forms.contains(where: { $0.collides(with: form) }) {
                throw UsageError(
                    given.key, value: given.text, allowed: "each PREFIX once, and none below another's")
            }
            forms.append(form)
        }
        return forms
    }

    private static func advertised(_ settings: SettingValues) throws(UsageError) -> [IPAddress] {
        var addresses: [IPAddress] = []
        for (given, address) in zip(try settings.given(.advertise), try settings.values(.advertise) { IPAddress($0) }) {
            guard !addresses.contains(where: { $0.isV4 == address.isV4 }) else {
                throw UsageError(given.key, value: given.text, allowed: "one IPv4 and one IPv6 address at most")
            }
            addresses.append(address)
        }
        return addresses
    }

    // MARK: What is published

    private static func subject(
        _ arguments: [String], _ settings: SettingValues, _ fields: RecordFields
    ) throws(UsageError) -> Subject {
        var rest = arguments[...]
        let network = try settings.value(.network) { isContainerName($0) && !$0.hasPrefix("/") ? $0 : nil }
        if try settings.isOn(.labels) {
            var rules = LabelRules(network: network)
            rules.allowed = try settings.values(.allowService) { ServicePattern($0) }
            rules.compatibility = try settings.value(.compat) { LabelRules.Compatibility(rawValue: $0) }
            try refuse([.address, .instance], settings, with: .labels)
            return .containers(.labelled(rules), try engine(settings))
        }
        try refuse([.compat, .allowService], settings, without: .labels)
        if let address = try settings.value(.address, reachable) {
            try refuse([.network], settings, with: .address)
            return .address(address, try service(&rest))
        }
        let selector = try selector(&rest)
        let claim = ContainerClaim(
            service: try service(&rest), port: selector.port, transport: selector.transport, fields: fields,
            instance: try instance(settings), network: network)
        return .containers(.one(selector, claim), try engine(settings))
    }

    /// KEY=VALUE arguments, which are the last; there are none at all with `--labels`.
    private static func fields(
        _ arguments: [String], _ settings: SettingValues
    ) throws(UsageError) -> RecordFields {
        let isLabelled = try settings.isOn(.labels)
        if isLabelled, let word = arguments.first {
            throw UsageError("argument", value: word, allowed: "none with --labels: containers' labels say it all")
        }
        let before = try settings.given(.address).isEmpty ? 3 : 1
        do {
            return try RecordFields(arguments: Array(arguments.dropFirst(before)))
        } catch {
            throw UsageError("KEY=VALUE", value: error.argument, allowed: error.allowedForm)
        }
    }

    private static func service(_ words: inout ArraySlice<String>) throws(UsageError) -> ServiceName {
        guard let name = words.popFirst() else {
            throw UsageError(missing: "SERVICE", allowed: ServiceName.allowedForm)
        }
        guard let service = ServiceName(name) else {
            throw UsageError("SERVICE", value: name, allowed: ServiceName.allowedForm)
        }
        return service
    }

    private static func instance(_ settings: SettingValues) throws(UsageError) -> String? {
        try settings.value(.instance) { InstanceName.isAllowed($0) ? $0 : nil }
    }

    private static func refuse(
        _ names: [SettingName], _ settings: SettingValues, with other: SettingName
    ) throws(UsageError) {
        try refuse(names, settings, allowed: "nothing with \(Setting.named(other).flag)")
    }

    private static func refuse(
        _ names: [SettingName], _ settings: SettingValues, without other: SettingName
    ) throws(UsageError) {
        try refuse(names, settings, allowed: "nothing without \(Setting.named(other).flag)")
    }

    private static func refuse(
        _ names: [SettingName], _ settings: SettingValues, allowed: String
    ) throws(UsageError) {
        for name in names {
            guard let given = try settings.given(name).first else { continue }
            throw UsageError(given.key, value: given.text, allowed: allowed)
        }
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
}
