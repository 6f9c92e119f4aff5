// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
internal import ServiceModel

/// An address as the kernel wants it: 110 bytes that hold any family's, and how many of them count.
struct SocketAddress {
    /// The largest of the three: what the others need begins at the same place.
    private var raw = sockaddr_un()
    private(set) var length = socklen_t(MemoryLayout<sockaddr_un>.size)

    init(_ address: InstanceAddress) {
        switch address {
        case .network(let endpoint): self.init(endpoint)
        case .unix(let path): self.init(path)
        }
    }

    init(_ endpoint: Endpoint) {
        if let bits = endpoint.address.v4 {
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = endpoint.port.bigEndian
            v4.sin_addr.s_addr = bits.bigEndian
            store(v4)
        } else {
            var v6 = sockaddr_in6()
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = endpoint.port.bigEndian
            withUnsafeMutableBytes(of: &v6.sin6_addr) {
                $0.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            store(v6)
        }
    }

    init(_ path: UnixPath) {
        raw.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &raw.sun_path) { $0.copyBytes(from: path.description.utf8) }
        // With the NUL behind the path, which is there because the bytes were zero (unix(7)).
        length = socklen_t(MemoryLayout<sa_family_t>.size + path.description.utf8.count + 1)
    }

    /// Room for an address that a system call fills in.
    init() {}

    var family: Int32 { Int32(raw.sun_family) }

    /// Nil for a family that has none.
    var port: UInt16? {
        guard family == AF_INET || family == AF_INET6 else { return nil }
        // At the same place in both.
        return UInt16(bigEndian: load(as: sockaddr_in.self).sin_port)
    }

    /// The endpoint, nil for a family that is neither IPv4 nor IPv6. IPv4-mapped IPv6 comes out as IPv4.
    var endpoint: Endpoint? {
        switch family {
        case AF_INET:
            let v4 = load(as: sockaddr_in.self)
            return Endpoint(IPAddress(v4: UInt32(bigEndian: v4.sin_addr.s_addr)), port: UInt16(bigEndian: v4.sin_port))
        case AF_INET6:
            let v6 = load(as: sockaddr_in6.self)
            let (high, low) = withUnsafeBytes(of: v6.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            let address = IPAddress(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
            return Endpoint(address, port: UInt16(bigEndian: v6.sin6_port))
        default:
            return nil
        }
    }

    /// Whether both name the same endpoint or path.
    func isEqual(to other: SocketAddress) -> Bool {
        guard length == other.length, family == other.family else { return false }
        return withUnsafeBytes(of: raw) { left in
            withUnsafeBytes(of: other.raw) { right in
                switch family {
                // Port and address; what follows them is padding.
                case AF_INET: left[2..<8].elementsEqual(right[2..<8])
                // Port, and the address behind the flow label.
                case AF_INET6: left[2..<4].elementsEqual(right[2..<4]) && left[8..<24].elementsEqual(right[8..<24])
                default: left[2..<Int(length)].elementsEqual(right[2..<Int(length)])
                }
            }
        }
    }

    // Hot path: the closures do not escape and are inlined.
    @inline(__always)
    func read<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: raw) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    @inline(__always)
    mutating func fill<Result>(
        _ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Result
    ) -> Result {
        length = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafeMutablePointer(to: &length) { length in
            withUnsafeMutablePointer(to: &raw) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
            }
        }
    }

    private mutating func store<Address>(_ address: Address) {
        withUnsafeMutableBytes(of: &raw) { $0.storeBytes(of: address, as: Address.self) }
        length = socklen_t(MemoryLayout<Address>.size)
    }

    private func load<Address>(as type: Address.Type) -> Address {
        withUnsafeBytes(of: raw) { $0.loadUnaligned(as: type) }
    }
}
