// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging

/// `legation forward [--listen [ADDRESS:]PORT|unix:PATH] TARGET [TARGET...]`.
package struct ForwardConfiguration: Sendable {
    package let logLevel: Logger.Level
    package let listen: ListenAddress
    /// At least one, in the order of preference.
    package let targets: [ForwardTarget]
    package let relay: RelaySettings

    /// The port of the article's static ambassador, which its containers expose.
    private static let defaultPort: UInt16 = 10000

    package init(arguments: [String], settings: SettingValues) throws(UsageError) {
        logLevel = try settings.logLevel()
        listen = try settings.value(.listen) { ListenAddress($0) } ?? .anywhere(port: Self.defaultPort)
        guard !arguments.isEmpty else { throw UsageError(missing: "TARGET", allowed: ForwardTarget.allowedForm) }
        var targets: [ForwardTarget] = []
        for text in arguments {
            guard let target = ForwardTarget(text), !targets.contains(target) else {
                throw UsageError("TARGET", value: text, allowed: ForwardTarget.allowedForm + "; each once")
            }
            targets.append(target)
        }
        self.targets = targets
        relay = try RelaySettings(settings: settings)
    }

    /// What logs call the link.
    package var linkName: String { targets.map(\.description).joined(separator: ",") }
}
