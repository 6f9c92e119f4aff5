// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
package import Logging
package import Registry
package import Relay
package import ServiceModel

/// `legation proxy SERVICE PORT` or `legation proxy SERVICE:PORT [SERVICE:PORT...]`; for PORT also `unix:PATH`.
package struct ProxyConfiguration: Sendable {
    /// A service, and the port or the socket that stands for it here.
    package struct LinkRequest: Hashable, Sendable {
        package let service: ServiceName
        package let listen: ListenAddress
    }

    package static let linkForm =
        "SERVICE PORT, or SERVICE:PORT each; PORT 0-65535 (0: any free one) or unix:PATH, PATH absolute, at most "
        + "\(UnixPath.maximumLength) bytes; SERVICE \(ServiceName.allowedForm)"

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let links: [LinkRequest]
    package let balance: Balance
    package let hold: Duration
    package let sources: [ServiceName: EntrySource]
    package let absences: [ServiceName: AbsencePolicy]
    /// Where this process is; without a name in a container that was not told one.
    package let place: Place
    package let selections: [ServiceName: Selection]
    /// Of one instance of each service, at once; services that are not here are not limited.
    package let instanceConnections: [ServiceName: Int]
    /// Of each service; services that are not here let connections go on for as long as they like.
    package let drainTimeouts: [ServiceName: DrainTimeout]
    package let targetRules: [TargetPolicy.Rule]
    package let startsEmpty: Bool
    package let relay: RelaySettings
    /// The process's, for where state is kept.
    package let environment: [String: String]

    private static let holds: ClosedRange<Duration> = .seconds(0) ... .seconds(3600)

    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        let bind = try settings.value(.bind) { text in IPAddress(text) }
        links = try Self.links(arguments, bind: bind)
        balance = try settings.value(.balance) { Balance(rawValue: $0) } ?? .roundRobin
        hold = try settings.duration(.hold, in: Self.holds) ?? .seconds(60)
        // Two services under one prefix would be each other's instances.
        var sources = try settings.perService(.format, Self.services(links), mayBeGeneral: { $0.prefix == nil }) {
            EntrySource($0)
        }
        let switches = try settings.perService(.resolveNames, Self.services(links)) { ["on": true, "off": false][$0] }
        for (service, isOn) in switches where isOn { sources[service, default: EntrySource()].resolvesNames = true }
        self.sources = sources
        absences = try Self.absences(links, settings)
        place = try settings.place()
        let (general, own) = try settings.selections(Self.services(links), at: place)
        var selections: [ServiceName: Selection] = [:]
        for service in Self.services(links) {
            let selection = own[service] ?? general
            if selection != Selection() { selections[service] = selection }
        }
        self.selections = selections
        instanceConnections = try settings.perService(.instanceConnections, Self.services(links)) { text in
            Int(text).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
        }
        drainTimeouts = try settings.perService(.drainTimeout, Self.services(links)) { DrainTimeout($0) }
        targetRules = try settings.values(.allowTarget) { TargetPolicy.Rule($0) }
        startsEmpty = try settings.isOn(.startEmpty)
        relay = try RelaySettings(settings: settings)
        etcd = try EtcdAccess(settings: settings)
        environment = settings.environment
    }

    /// The services, each once, in the order of the links.
    package var services: [ServiceName] { Self.services(links) }

    private static func services(_ links: [LinkRequest]) -> [ServiceName] {
        var seen: Set<ServiceName> = []
        return links.map(\.service).filter { seen.insert($0).inserted }
    }

    private static func absences(
        _ links: [LinkRequest], _ settings: SettingValues
    ) throws(UsageError) -> [ServiceName: AbsencePolicy] {
        let services = services(links)
        let losses = try settings.perService(.onLoss, services) { AbsencePolicy.Loss($0) }
        let emptinesses = try settings.perService(.onEmpty, services) { AbsencePolicy.Emptiness($0) }
        let policies = services.map { service in
            AbsencePolicy(onLoss: losses[service] ?? .keep, onEmpty: emptinesses[service] ?? .refuse)
        }
        return Dictionary(uniqueKeysWithValues: zip(services, policies))
    }

    private static func links(_ arguments: [String], bind: IPAddress?) throws(UsageError) -> [LinkRequest] {
        guard !arguments.isEmpty else { throw UsageError(missing: "SERVICE PORT", allowed: linkForm) }
        if arguments.count == 2, isDoor(arguments[1]) {
            return [try link(arguments[0], arguments[1], written: arguments.joined(separator: " "), bind: bind)]
        }
        var links: [LinkRequest] = []
        for text in arguments {
            let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw UsageError("SERVICE:PORT", value: text, allowed: linkForm) }
            let link = try link(String(parts[0]), String(parts[1]), written: text, bind: bind)
            guard !links.contains(where: { $0.listen.collides(with: link.listen) }) else {
                throw UsageError("SERVICE:PORT", value: text, allowed: linkForm + "; each port and path once")
            }
            links.append(link)
        }
        return links
    }

    /// Whether a second argument goes with the first: all digits, or the path of a socket, which no service's name is.
    private static func isDoor(_ text: String) -> Bool {
        text.hasPrefix("unix:/") || !text.isEmpty && text.utf8.allSatisfy { (48...57).contains($0) }
    }

    private static func link(
        _ name: String, _ door: String, written: String, bind: IPAddress?
    ) throws(UsageError) -> LinkRequest {
        let listen: ListenAddress? =
            if let port = HostPort.parsePort(door) {
                ListenAddress(bind, port: port)
            } else if case .unix(let path) = InstanceAddress(door) {
                .unix(path)
            } else {
                nil
            }
        guard let service = ServiceName(name), let listen else {
            throw UsageError("SERVICE:PORT", value: written, allowed: linkForm)
        }
        return LinkRequest(service: service, listen: listen)
    }
}
