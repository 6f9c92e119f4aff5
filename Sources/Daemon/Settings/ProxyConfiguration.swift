// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Registry
package import Relay
package import ServiceModel

/// `legation proxy SERVICE PORT` or `legation proxy SERVICE:PORT [SERVICE:PORT...]`.
package struct ProxyConfiguration: Sendable {
    /// A service and the port that stands for it here.
    package struct LinkRequest: Hashable, Sendable {
        package let service: ServiceName
        package let listen: ListenAddress
    }

    package static let linkForm =
        "SERVICE PORT, or SERVICE:PORT each; port 0-65535 (0: any free one), SERVICE "
        + ServiceName.allowedForm

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let links: [LinkRequest]
    package let balance: Balance
    package let hold: Duration
    package let targetRules: [TargetPolicy.Rule]
    package let startsEmpty: Bool
    package let relay: RelaySettings

    private static let holds: ClosedRange<Duration> = .seconds(0) ... .seconds(3600)

    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        let bind = try settings.value(.bind) { text in IPAddress(text) }
        links = try Self.links(arguments, bind: bind)
        balance = try settings.value(.balance) { Balance(rawValue: $0) } ?? .roundRobin
        hold = try settings.duration(.hold, in: Self.holds) ?? .seconds(60)
        targetRules = try settings.values(.allowTarget) { TargetPolicy.Rule($0) }
        startsEmpty = try settings.isOn(.startEmpty)
        relay = try RelaySettings(settings: settings)
        etcd = try EtcdAccess(settings: settings)
    }

    /// The services, each once, in the order of the links.
    package var services: [ServiceName] {
        var seen: Set<ServiceName> = []
        return links.map(\.service).filter { seen.insert($0).inserted }
    }

    private static func links(_ arguments: [String], bind: IPAddress?) throws(UsageError) -> [LinkRequest] {
        guard !arguments.isEmpty else { throw UsageError(missing: "SERVICE PORT", allowed: linkForm) }
        if arguments.count == 2, !arguments[1].isEmpty, arguments[1].utf8.allSatisfy({ (48...57).contains($0) }) {
            return [try link(arguments[0], arguments[1], written: arguments.joined(separator: " "), bind: bind)]
        }
        var links: [LinkRequest] = []
        for text in arguments {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw UsageError("SERVICE:PORT", value: text, allowed: linkForm) }
            let link = try link(String(parts[0]), String(parts[1]), written: text, bind: bind)
            guard link.listen.port == 0 || !links.contains(where: { $0.listen.port == link.listen.port }) else {
                throw UsageError("SERVICE:PORT", value: text, allowed: linkForm + "; each port once")
            }
            links.append(link)
        }
        return links
    }

    private static func link(
        _ name: String, _ portText: String, written: String, bind: IPAddress?
    ) throws(UsageError) -> LinkRequest {
        guard let service = ServiceName(name), let port = HostPort.parsePort(portText) else {
            throw UsageError("SERVICE:PORT", value: written, allowed: linkForm)
        }
        return LinkRequest(service: service, listen: ListenAddress(bind, port: port))
    }
}
