// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel

/// An endpoint as the kernel takes and gives it.
struct SocketAddress {
    static let stream = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)

    private var storage = sockaddr_storage()
    private var length: socklen_t

    var family: Int32 { Int32(storage.ss_family) }

    init(_ endpoint: Endpoint) {
        let text = "\(endpoint.address)"
        if endpoint.address.isV4 {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = endpoint.port.bigEndian
            inet_pton(AF_INET, text, &address.sin_addr)
            length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in.self) }
        } else {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = endpoint.port.bigEndian
            inet_pton(AF_INET6, text, &address.sin6_addr)
            length = socklen_t(MemoryLayout<sockaddr_in6>.size)
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: address, as: sockaddr_in6.self) }
        }
    }

    /// The address that a socket is bound to, nil for a socket of another kind.
    init?(of descriptor: Int32) { self.init(of: descriptor, getsockname) }

    /// The address that a socket is connected to, nil when it is not.
    init?(peerOf descriptor: Int32) { self.init(of: descriptor, getpeername) }

    private init?(
        of descriptor: Int32,
        _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let size = length
        let result = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                var size = size
                return ask(descriptor, address, &size)
            }
        }
        guard result == 0 else { return nil }
    }

    var endpoint: Endpoint? {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        var copy = storage
        return withUnsafeBytes(of: &copy) { bytes -> Endpoint? in
            let port: UInt16
            switch family {
            case AF_INET:
                var address = bytes.load(as: sockaddr_in.self)
                port = UInt16(bigEndian: address.sin_port)
                inet_ntop(AF_INET, &address.sin_addr, &text, socklen_t(text.count))
            case AF_INET6:
                var address = bytes.load(as: sockaddr_in6.self)
                port = UInt16(bigEndian: address.sin6_port)
                inet_ntop(AF_INET6, &address.sin6_addr, &text, socklen_t(text.count))
            default: return nil
            }
            let end = text.firstIndex(of: 0) ?? text.endIndex
            let host = String(decoding: text[..<end].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return IPAddress(host).map { Endpoint($0, port: port) }
        }
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
