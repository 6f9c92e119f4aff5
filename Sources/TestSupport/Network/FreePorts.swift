// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
import ServiceModel
import Synchronization

/// Ports for programs that cannot be told 0. They lie below Linux's ephemeral range (32768–60999), so that no outgoing
/// connection takes one while a program restarts on it, and below those of Scripts/processes.sh.
package enum FreePorts {
    private static let next = Mutex(UInt16.random(in: 12_000..<26_000))

    /// A port that nobody listened on just now, and that nobody else in this process gets.
    package static func take() throws -> UInt16 {
        for _ in 0..<1000 {
            let port = next.withLock { next in
                next = next >= 25_999 ? 12_000 : next + 1
                return next
            }
            if isFree(port) { return port }
        }
        throw SocketFailure("find a free port", EADDRINUSE)
    }

    /// Programs bind loopback or everything, so everything has to be free.
    private static func isFree(_ port: UInt16) -> Bool {
        [IPAddress.unspecifiedV6, .unspecifiedV4].allSatisfy { address in
            let wanted = SocketAddress(Endpoint(address, port: port))
            let descriptor = Glibc.socket(wanted.family, SocketAddress.stream, 0)
            guard descriptor >= 0 else { return false }
            defer { Glibc.close(descriptor) }
            return wanted.withPointer { bind(descriptor, $0, $1) } == 0
        }
    }
}
