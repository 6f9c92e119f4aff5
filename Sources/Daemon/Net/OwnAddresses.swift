// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import CLinux
package import ServiceModel
private import Synchronization

/// The addresses of this host's interfaces, for two questions: would an entry lead back to our own listener, and
/// which address can others reach us at?
///
/// ## Concurrency
/// Safe from any thread. The list is read again when it is older than 5 s: addresses come and go (VIPs, containers),
/// and `getifaddrs` costs a netlink dump.
package final class OwnAddresses: Sendable {
    /// One address of one interface.
    package struct Interface: Hashable, Sendable {
        package let name: String
        package let address: IPAddress

        package init(name: String, address: IPAddress) {
            self.name = name
            self.address = address
        }
    }

    private static let maximumAge = Duration.seconds(5)

    private let read: @Sendable () -> [Interface]
    private let cache = Mutex<(readAt: ContinuousClock.Instant, interfaces: [Interface])?>(nil)

    /// - Parameter read: the interfaces as they are now; the kernel's unless a test says otherwise.
    package init(read: @escaping @Sendable () -> [Interface] = { OwnAddresses.readInterfaces() }) { self.read = read }

    /// At most 5 s old.
    package var interfaces: [Interface] {
        let now = ContinuousClock.now
        return cache.withLock { cached in
            if let cached, now < cached.readAt + Self.maximumAge { return cached.interfaces }
            let interfaces = read()
            cached = (now, interfaces)
            return interfaces
        }
    }

    /// Where a listener can be reached on this host: itself, or one endpoint for each address that its wildcard covers.
    ///
    /// `[::]` counts as dual stack, which is how it is opened here.
    package func expanding(_ listener: Endpoint) -> [Endpoint] {
        guard listener.address.isUnspecified else { return [listener] }
        let covered = interfaces.map(\.address).filter { !listener.address.isV4 || $0.isV4 }
        return ([listener.address] + covered).map { Endpoint($0, port: listener.port) }
    }

    /// The source address that the kernel would take for a connection to `remote`; nothing is sent.
    /// - Returns: nil when there is no route.
    package static func source(toward remote: Endpoint) -> IPAddress? {
        var source = [UInt8](repeating: 0, count: 16)
        guard clinux_source_toward(remote.address.networkOrder, remote.port, &source) == 0 else { return nil }
        return IPAddress(networkOrder: source)
    }

    /// What the kernel says now; empty when it says nothing.
    package static func readInterfaces() -> [Interface] {
        var interfaces: [Interface] = []
        let status = withUnsafeMutablePointer(to: &interfaces) { list in
            clinux_visit_interfaces(list) { context, name, address in
                let list = context?.assumingMemoryBound(to: [Interface].self)
                let name = name.map { String(cString: $0) } ?? ""
                list?.pointee.append(Interface(name: name, address: IPAddress(networkOrder: address)))
            }
        }
        return status == 0 ? interfaces : []
    }
}
