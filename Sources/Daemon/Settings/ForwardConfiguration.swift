// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import ServiceModel

/// `legation forward [--listen [ADDRESS:]PORT] TARGET [TARGET...]`.
package struct ForwardConfiguration: Sendable {
    package static let targetForm =
        "HOST:PORT, HOST a name, an IPv4 address or an IPv6 address in brackets, port 1-65535"

    package let logLevel: Logger.Level
    package let listen: ListenAddress
    /// At least one, in the order of preference.
    package let targets: [HostPort]
    package let relay: RelaySettings

    /// The port of the article's static ambassador, which its containers expose.
    private static let defaultPort: UInt16 = 10000

    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        listen = try settings.value(.listen) { ListenAddress($0) } ?? .anywhere(port: Self.defaultPort)
        guard !arguments.isEmpty else { throw UsageError(missing: "TARGET", allowed: Self.targetForm) }
        var targets: [HostPort] = []
        for text in arguments {
            guard let target = HostPort(text), target.port > 0, !targets.contains(target) else {
                throw UsageError("TARGET", value: text, allowed: Self.targetForm + ", each once")
            }
            targets.append(target)
        }
        self.targets = targets
        relay = try RelaySettings(settings: settings)
    }

    /// What logs call the link.
    package var linkName: String { targets.map(\.description).joined(separator: ",") }
}
