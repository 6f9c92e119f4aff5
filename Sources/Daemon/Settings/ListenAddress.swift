// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Where to listen, as the operator put it.
package enum ListenAddress: Hashable, Sendable, CustomStringConvertible {
    /// A bare port: both families through one dual-stack socket, IPv4 alone where there is no IPv6.
    case anywhere(port: UInt16)
    case at(Endpoint)
    case unix(UnixPath)

    /// Parses `PORT`, `ADDRESS:PORT`, `[IPV6]:PORT`, `unix:PATH`; port 0 is any free one.
    package init?(_ text: some StringProtocol) {
        if let port = HostPort.parsePort(text) {
            self = .anywhere(port: port)
            return
        }
        switch InstanceAddress(text) {
        case .network(let endpoint): self = .at(endpoint)
        case .unix(let path): self = .unix(path)
        case nil: return nil
        }
    }

    package init(_ address: IPAddress?, port: UInt16) {
        self = address.map { .at(Endpoint($0, port: port)) } ?? .anywhere(port: port)
    }

    /// Whether the kernel chooses where it is.
    package var isOpen: Bool {
        switch self {
        case .anywhere(let port): port == 0
        case .at(let endpoint): endpoint.port == 0
        case .unix: false
        }
    }

    /// Whether both cannot be listened on at once, whatever their addresses: they share a port, or a path.
    package func collides(with other: Self) -> Bool { !isOpen && place == other.place }

    private enum Place: Hashable {
        case port(UInt16)
        case path(UnixPath)
    }

    private var place: Place {
        switch self {
        case .anywhere(let port): .port(port)
        case .at(let endpoint): .port(endpoint.port)
        case .unix(let path): .path(path)
        }
    }

    package var description: String {
        switch self {
        case .anywhere(let port): "*:\(port)"
        case .at(let endpoint): "\(endpoint)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
