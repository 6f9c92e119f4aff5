// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
internal import ServiceModel

/// An endpoint as the kernel wants it: 28 bytes that hold either family, and how many of them count.
struct SocketAddress {
    private var raw = sockaddr_in6()
    private(set) var length = socklen_t(MemoryLayout<sockaddr_in6>.size)

    init(_ endpoint: Endpoint) {
        if let bits = endpoint.address.v4 {
            var v4 = sockaddr_in()
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = endpoint.port.bigEndian
            v4.sin_addr.s_addr = bits.bigEndian
            withUnsafeMutableBytes(of: &raw) { $0.storeBytes(of: v4, as: sockaddr_in.self) }
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
        } else {
            raw.sin6_family = sa_family_t(AF_INET6)
            raw.sin6_port = endpoint.port.bigEndian
            withUnsafeMutableBytes(of: &raw.sin6_addr) {
                $0.storeBytes(of: endpoint.address.high.bigEndian, as: UInt64.self)
                $0.storeBytes(of: endpoint.address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
        }
    }

    /// Room for an address that a system call fills in.
    init() {}

    var family: Int32 { Int32(raw.sin6_family) }

    /// The endpoint, nil for a family that is neither IPv4 nor IPv6. IPv4-mapped IPv6 comes out as IPv4.
    var endpoint: Endpoint? {
        switch family {
        case AF_INET:
            let v4 = withUnsafeBytes(of: raw) { $0.load(as: sockaddr_in.self) }
            return Endpoint(IPAddress(v4: UInt32(bigEndian: v4.sin_addr.s_addr)), port: UInt16(bigEndian: v4.sin_port))
        case AF_INET6:
            let (high, low) = withUnsafeBytes(of: raw.sin6_addr) {
                ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
            let address = IPAddress(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
            return Endpoint(address, port: UInt16(bigEndian: raw.sin6_port))
        default:
            return nil
        }
    }

    /// Whether both name the same endpoint.
    func isEqual(to other: SocketAddress) -> Bool {
        guard length == other.length, family == other.family else { return false }
        return withUnsafeBytes(of: raw) { left in
            withUnsafeBytes(of: other.raw) { right in
                switch family {
                // Port and address; what follows them is padding.
                case AF_INET: left[2..<8].elementsEqual(right[2..<8])
                // Port, and the address behind the flow label.
                default: left[2..<4].elementsEqual(right[2..<4]) && left[8..<24].elementsEqual(right[8..<24])
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
        length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        return withUnsafeMutablePointer(to: &length) { length in
            withUnsafeMutablePointer(to: &raw) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
            }
        }
    }
}
