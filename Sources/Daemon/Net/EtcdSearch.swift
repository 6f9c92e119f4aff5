// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import Logging
package import ServiceModel

/// Finds etcd where nobody says where it is: the variables of a Docker link named `etcd`, a host of that name (a link's
/// or a network's alias), this host.
package struct EtcdSearch: Sendable {
    /// What it found, and by what; `by` is for the log.
    package struct Found: Hashable, Sendable {
        package let endpoints: [EtcdEndpoint]
        package let by: String
    }

    /// The name of the link or alias.
    private static let alias = "etcd"
    /// etcd's own port, then that of a static ambassador (`legation forward`).
    private static let ports: [UInt16] = [2379, 10000]
    /// An alias stands in /etc/hosts or in the engine's own DNS: whoever takes longer to look it up asks a DNS server that
    /// does not answer.
    private static let lookupLimit = Duration.seconds(2)
    private static let connectLimit = Duration.seconds(1)

    private let lookup: NameLookup
    private let prober: any Prober

    package init(lookup: NameLookup = NameLookup(), prober: any Prober = ConnectProber()) {
        self.lookup = lookup
        self.prober = prober
    }

    /// What the operator said, else what is found; at most a few seconds.
    package func configuration(for access: EtcdAccess, logger: Logger) async -> EtcdConfiguration {
        var configuration = EtcdConfiguration(
            endpoints: access.endpoints, tls: access.tls, credentials: access.credentials)
        guard access.endpoints.isEmpty else { return configuration }
        let found = await find(link: access.link, usesTLS: access.tls != nil || access.requiresTLS)
        let endpoints = found.endpoints.map(\.description).joined(separator: ",")
        logger.info("found etcd", metadata: ["endpoints": "\(endpoints)", "by": "\(found.by)"])
        configuration.endpoints = found.endpoints
        return configuration
    }

    package func find(link: EtcdLink?, usesTLS: Bool) async -> Found {
        let scheme = usesTLS ? "https" : "http"
        let aliased = await lookup.addresses(of: Self.alias, within: Self.lookupLimit)
        if let link {
            // Docker keeps the alias up when the linked container is restarted and has another address; the variables stay.
            let isCurrent = aliased.contains(link.endpoint.address)
            let place = isCurrent ? "\(Self.alias):\(link.endpoint.port)" : "\(link.endpoint)"
            return Found(endpoints: [EtcdEndpoint("\(scheme)://\(place)")].compactMap(\.self), by: "link variables")
        }
        if !aliased.isEmpty {
            var ports = Self.ports
            for port in Self.ports where await isOpen(aliased, port: port) {
                ports = [port]
                break
            }
            let endpoints = ports.compactMap { EtcdEndpoint("\(scheme)://\(Self.alias):\($0)") }
            return Found(endpoints: endpoints, by: "host name \(Self.alias)")
        }
        return Found(endpoints: [EtcdEndpoint("\(scheme)://127.0.0.1:2379")].compactMap(\.self), by: "default")
    }

    private func isOpen(_ addresses: [IPAddress], port: UInt16) async -> Bool {
        for address in addresses where await prober.accepts(Endpoint(address, port: port), within: Self.connectLimit) {
            return true
        }
        return false
    }
}
