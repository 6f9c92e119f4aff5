// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// A target of `forward` as an operator writes it: `redis.example:6379`, `[::1]:6379`, `unix:/run/redis.sock`.
package enum ForwardTarget: Hashable, Sendable, CustomStringConvertible {
    /// The port is never 0; a host that is no literal is looked up.
    case network(HostPort)
    case unix(UnixPath)

    package static let allowedForm =
        "HOST:PORT, HOST a name, an IPv4 address or an IPv6 address in brackets, port 1-65535; or unix:PATH, PATH "
        + "absolute, at most \(UnixPath.maximumLength) bytes"

    /// - Returns: nil for anything else.
    package init?(_ text: some StringProtocol) {
        if case .unix(let path) = InstanceAddress(text) {
            self = .unix(path)
        } else {
            guard let target = HostPort(text), target.port > 0 else { return nil }
            self = .network(target)
        }
    }

    /// What has to be looked up; nil when nothing has.
    package var name: String? {
        guard case .network(let target) = self, target.endpoint == nil else { return nil }
        return target.host
    }

    /// - Parameter answers: the addresses of the names that have been looked up.
    package func addresses(by answers: [String: [IPAddress]]) -> [InstanceAddress] {
        switch self {
        case .unix(let path): return [.unix(path)]
        case .network(let target):
            let hosts = target.endpoint.map { [$0.address] } ?? answers[target.host] ?? []
            return hosts.map { .network(Endpoint($0, port: target.port)) }
        }
    }

    package var description: String {
        switch self {
        case .network(let target): "\(target)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
