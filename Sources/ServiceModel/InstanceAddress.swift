// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// The path of a Unix socket: absolute, 2...107 bytes, none of them NUL. A longer one has no room in unix(7)'s address.
package struct UnixPath: Hashable, Sendable, CustomStringConvertible {
    package static let maximumLength = 107

    package let description: String

    /// - Returns: nil when `text` is not of that form.
    package init?(_ text: some StringProtocol) {
        let bytes = text.utf8
        guard (2...Self.maximumLength).contains(bytes.count), bytes.first == UInt8(ascii: "/"), !bytes.contains(0)
        else {
            return nil
        }
        description = String(text)
    }
}

/// Where an instance accepts connections: `10.77.0.1:6379`, `[fd00::1]:6379`, `unix:/run/redis.sock`.
package enum InstanceAddress: Hashable, Sendable, CustomStringConvertible {
    case network(Endpoint)
    case unix(UnixPath)

    /// - Returns: nil for anything else, names included.
    package init?(_ text: some StringProtocol) {
        if text.hasPrefix("unix:") {
            guard let path = UnixPath(text.dropFirst("unix:".count)) else { return nil }
            self = .unix(path)
        } else {
            guard let endpoint = Endpoint(text) else { return nil }
            self = .network(endpoint)
        }
    }

    /// Nil for a Unix socket.
    package var endpoint: Endpoint? {
        if case .network(let endpoint) = self { endpoint } else { nil }
    }

    package var description: String {
        switch self {
        case .network(let endpoint): "\(endpoint)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
