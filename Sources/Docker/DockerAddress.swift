// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Where an engine answers: a socket in the file system, or plain TCP.
package enum DockerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The absolute path of the socket.
    case unix(path: String)
    /// A name or a literal without brackets.
    case tcp(host: String, port: UInt16)

    package static let allowedForm = "unix:///PATH or tcp://HOST[:PORT], IPv6 in brackets, port 1-65535 (2375)"

    /// Where an engine of the whole host listens, unless it is told otherwise.
    package static let standardPath = "/var/run/docker.sock"
    package static let standard = DockerAddress.unix(path: standardPath)

    /// Of an engine that listens without TLS (IANA).
    private static let plainPort: UInt16 = 2375

    /// - Returns: nil for anything but `allowedForm`; `http://` is taken for `tcp://`, as Docker's own client does.
    package init?(_ text: String) {
        if text.hasPrefix("unix:") {
            let path = text.dropFirst("unix:".count).drop { $0 == "/" }
            guard text.hasPrefix("unix:/"), !path.isEmpty, !path.utf8.contains(0) else { return nil }
            self = .unix(path: "/" + path)
            return
        }
        guard let scheme = ["tcp://", "http://"].first(where: text.hasPrefix) else { return nil }
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let (host, port) = Self.split(rest), !host.isEmpty, host.utf8.allSatisfy(Self.mayStandInHost) else {
            return nil
        }
        guard let port else {
            self = .tcp(host: String(host), port: Self.plainPort)
            return
        }
        guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port), number > 0 else {
            return nil
        }
        self = .tcp(host: String(host), port: number)
    }

    private static func split(_ text: Substring) -> (host: Substring, port: Substring?)? {
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let (host, tail) = (text[..<close].dropFirst(), text[close...].dropFirst())
            guard host.contains(":") else { return nil }
            if tail.isEmpty { return (host, nil) }
            return tail.hasPrefix(":") ? (host, tail.dropFirst()) : nil
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count <= 2 ? (parts[0], parts.count == 2 ? parts[1] : nil) : nil
    }

    private static func mayStandInHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }

    /// Nil for TCP.
    package var socketPath: String? {
        guard case .unix(let path) = self else { return nil }
        return path
    }

    package var description: String {
        switch self {
        case .unix(let path): "unix://\(path)"
        case .tcp(let host, let port): "tcp://\(host.contains(":") ? "[\(host)]" : host):\(port)"
        }
    }

    /// What stands in front of a request's path.
    var baseURL: String {
        switch self {
        case .unix(let path): "http+unix://" + Self.percentEncoded(path)
        case .tcp: "http" + description.dropFirst("tcp".count)
        }
    }

    /// The whole path is the host of the URL, so that its slashes are encoded too.
    private static func percentEncoded(_ path: String) -> String {
        path.utf8.reduce(into: "") { text, byte in
            if mayStandInHost(byte) && byte != UInt8(ascii: ":") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
    }
}
