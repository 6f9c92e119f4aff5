// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// A Docker link named `etcd` (`--link CONTAINER:etcd`), as its environment variables tell of it.
///
/// Docker sets `ETCD_PORT_<port>_TCP_ADDR` and `ETCD_PORT_<port>_TCP_PORT` for each port that the linked container declares,
/// and `ETCD_PORT=tcp://<address>:<port>` for the lowest. Variables of another form are somebody else's, and none of ours.
package struct EtcdLink: Hashable, Sendable {
    /// Of the linked container when ours was started; a restart of that one may change it.
    package let endpoint: Endpoint

    /// Before every other port: etcd's own, that of a static ambassador, and etcd's before 2014.
    private static let preferredPorts: [UInt16] = [2379, 10000, 4001]

    package init(endpoint: Endpoint) { self.endpoint = endpoint }

    /// - Returns: nil when there is no such link.
    package init?(environment: [String: String]) {
        let linked = environment.compactMap { name, value in Self.endpoint(ofVariable: name, value) }
        let byPort = Dictionary(linked.map { ($0.port, $0) }) { first, _ in first }
        let preferred = Self.preferredPorts.compactMap { byPort[$0] }.first
        let main = environment["ETCD_PORT"].flatMap { $0.hasPrefix("tcp://") ? Endpoint(String($0.dropFirst(6))) : nil }
        guard let endpoint = preferred ?? main ?? linked.min(by: { $0.port < $1.port }), endpoint.port > 0 else {
            return nil
        }
        self.endpoint = endpoint
    }

    /// What `ETCD_PORT_2379_TCP_ADDR=172.17.0.2` says.
    private static func endpoint(ofVariable name: String, _ value: String) -> Endpoint? {
        let (prefix, suffix) = ("ETCD_PORT_", "_TCP_ADDR")
        guard name.hasPrefix(prefix), name.hasSuffix(suffix), name.count > prefix.count + suffix.count,
            let port = UInt16(name.dropFirst(prefix.count).dropLast(suffix.count)), let address = IPAddress(value)
        else { return nil }
        return Endpoint(address, port: port)
    }
}
