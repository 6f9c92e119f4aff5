// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import Logging
private import ServiceModel

/// What works with etcd and is not safe: said once by each process that relies on it, and by `check-etcd`.
package struct EtcdCautions: Sendable {
    private static let plaintext = "anybody on the way can read and change what is registered"

    /// Nil with TLS, and where what is said stays on this host.
    package static func plaintext(of endpoint: EtcdEndpoint) -> String? {
        endpoint.usesTLS || endpoint.isLoopback ? nil : "without TLS \(plaintext)"
    }

    private let configuration: EtcdConfiguration
    private let logger: Logger

    package init(_ configuration: EtcdConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    /// Whether etcd knows who we are, so that somebody may count on what its roles forbid us or others.
    private var mayRelyOnRoles: Bool { configuration.credentials != nil || configuration.tls?.certificateFile != nil }

    /// Warns of the endpoints, and of the versions of the members that we meet, each once; until there are no more.
    package func run(_ versions: some AsyncSequence<String, Never>) async {
        let bare = configuration.endpoints.filter { Self.plaintext(of: $0) != nil }
        if !bare.isEmpty {
            let list = bare.map(\.description).joined(separator: ",")
            logger.warning("etcd without TLS", metadata: ["endpoints": "\(list)", "why": "\(Self.plaintext)"])
        }
        guard mayRelyOnRoles else { return }
        var told: Set<String> = []
        for await version in versions where told.insert(version).inserted {
            for warning in EtcdVersion.warnings(for: version) {
                logger.warning("etcd's roles cannot be relied on", metadata: ["why": "\(warning)"])
            }
        }
    }
}

extension EtcdEndpoint {
    /// Whether what is said to it stays on this host.
    fileprivate var isLoopback: Bool { host == "localhost" || IPAddress(host)?.isLoopback == true }
}
