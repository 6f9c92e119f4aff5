// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// An address and port that can be dialled or listened on: `10.77.0.1:6379`, `[fd00::1]:6379`.
package struct Endpoint: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let address: IPAddress
    package let port: UInt16

    package init(_ address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Parses `A.B.C.D:PORT` or `[IPV6]:PORT`. - Returns: nil for anything else, names included.
    package init?(_ text: some StringProtocol) {
        guard let parts = HostPort(text), let address = IPAddress(parts.host) else { return nil }
        self.init(address, port: parts.port)
    }

    package var description: String { address.isV4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

    package static func < (left: Self, right: Self) -> Bool { (left.address, left.port) < (right.address, right.port) }
}

/// A host, literal or name, and a port as an operator writes them: `redis.example:6379`, `[::1]:6379`.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// Without brackets.
    package let host: String
    package let port: UInt16

    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Parses `HOST:PORT`; an IPv6 literal must stand in brackets. Port 0...65535, decimal digits only.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let hostText = text[..<colon]
        guard let port = Self.parsePort(text[text.index(after: colon)...]) else { return nil }
        if hostText.hasPrefix("[") {
            guard hostText.hasSuffix("]") else { return nil }
            let inner = hostText.dropFirst().dropLast()
            guard inner.contains(":"), IPAddress(inner) != nil else { return nil }
            self.init(host: String(inner), port: port)
        } else {
            guard !hostText.isEmpty, !hostText.contains(":"), hostText.utf8.allSatisfy(ServiceName.isAllowed) else {
                return nil
            }
            self.init(host: String(hostText), port: port)
        }
    }

    /// - Returns: nil unless `text` is 1...5 decimal digits of at most 65535.
    package static func parsePort(_ text: some StringProtocol) -> UInt16? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(text)
    }

    /// The endpoint when the host is a literal, nil when it is a name.
    package var endpoint: Endpoint? { IPAddress(host).map { Endpoint($0, port: port) } }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
