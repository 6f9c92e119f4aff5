// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Where one member of the cluster answers clients: `http://10.77.0.1:2379`, `https://[fd00::1]:2379`.
public struct EtcdEndpoint: Hashable, Sendable, CustomStringConvertible {
    public static let allowedForm = "[http://]HOST[:PORT] or https://HOST[:PORT], IPv6 in brackets, port 1-65535 (2379)"

    /// A name or a literal without brackets.
    public let host: String
    public let port: Int
    public let usesTLS: Bool

    /// - Parameter url: as `allowedForm`; `HOST:PORT` alone means http, as it does for `etcdctl`.
    /// - Returns: nil for anything else; a path, user or query is not part of an endpoint.
    public init?(_ url: String) {
        var rest = url[...]
        if rest.hasPrefix("https://") {
            usesTLS = true
            rest = rest.dropFirst("https://".count)
        } else {
            usesTLS = false
            if rest.hasPrefix("http://") { rest = rest.dropFirst("http://".count) }
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let (host, portText) = Self.split(rest), !host.isEmpty, host.utf8.allSatisfy(Self.mayStandInHost) else {
            return nil
        }
        guard let portText else {
            self.host = String(host)
            port = 2379
            return
        }
        guard (1...5).contains(portText.utf8.count), portText.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = Int(portText), (1...65535).contains(number)
        else { return nil }
        self.host = String(host)
        port = number
    }

    private static func split(_ text: Substring) -> (host: Substring, port: Substring?)? {
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let host = text[text.index(after: text.startIndex)..<close]
            let tail = text[text.index(after: close)...]
            guard host.contains(":") else { return nil }
            if tail.isEmpty { return (host, nil) }
            return tail.hasPrefix(":") ? (host, tail.dropFirst()) : nil
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return (parts[0], nil)
        case 2: return (parts[0], parts[1])
        default: return nil
        }
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

    public var description: String { "\(usesTLS ? "https" : "http")://\(authority)" }

    /// HTTP/2's `:authority`, which grpc-swift does not derive for a wrapped channel.
    var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
