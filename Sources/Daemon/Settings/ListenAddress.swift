// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Where to listen, as the operator put it.
package enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// A bare port: both families through one dual-stack socket, IPv4 alone where there is no IPv6.
    case anywhere(port: UInt16)
    case at(Endpoint)

    /// Parses `PORT`, `ADDRESS:PORT`, `[IPV6]:PORT`; port 0 is any free one.
    package init?(_ text: some StringProtocol) {
        if let port = HostPort.parsePort(text) {
            self = .anywhere(port: port)
        } else if let endpoint = Endpoint(text) {
            self = .at(endpoint)
        } else {
            return nil
        }
    }

    package init(_ address: IPAddress?, port: UInt16) {
        self = address.map { .at(Endpoint($0, port: port)) } ?? .anywhere(port: port)
    }

    package var port: UInt16 {
        switch self {
        case .anywhere(let port): port
        case .at(let endpoint): endpoint.port
        }
    }

    package var description: String {
        switch self {
        case .anywhere(let port): "*:\(port)"
        case .at(let endpoint): "\(endpoint)"
        }
    }
}
