// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Registry
package import ServiceModel

/// `legation register --address HOST:PORT SERVICE [KEY=VALUE...]`.
package struct RegisterConfiguration: Sendable {
    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let service: ServiceName
    /// Where the service listens; its address may be unspecified, then this host's own is published.
    package let address: Endpoint
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

    /// - Parameter arguments: SERVICE, then KEY=VALUE.
    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        guard let address = try settings.value(.address, Self.reachable) else {
            let note = "; naming a container (CONTAINER PORT SERVICE) is not possible in this version"
            throw UsageError(
                missing: Setting.named(.address).flag, allowed: Setting.named(.address).allowedForm + note)
        }
        self.address = address
        guard let name = arguments.first else {
            throw UsageError(missing: "SERVICE", allowed: ServiceName.allowedForm)
        }
        guard let service = ServiceName(name) else {
            throw UsageError("SERVICE", value: name, allowed: ServiceName.allowedForm)
        }
        self.service = service
        do {
            fields = try RecordFields(arguments: Array(arguments.dropFirst()))
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

    private static func reachable(_ text: String) -> Endpoint? {
        Endpoint(text).flatMap { $0.port > 0 ? $0 : nil }
    }

    private static func name(_ text: String) -> String? {
        let isAllowed = text.utf8.allSatisfy { ServiceName.isAllowed($0) || $0 == UInt8(ascii: ":") }
        return isAllowed && text.utf8.count <= maximumNameLength ? text : nil
    }
}
