// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Relay
package import ServiceModel
private import Synchronization

/// The addresses that this process listens on: makes the sockets, and knows which addresses lead back to us.
///
/// A socket that is bound is also listening, and the kernel answers clients on its own from then on. So a listener whose
/// link has no snapshot yet is only tried (`check`) and let go again: its clients are refused, and find another way,
/// instead of waiting in a backlog that nobody reads.
///
/// ## Concurrency
/// Safe from any thread.
package final class ListenerSet: Sendable {
    private let addresses: OwnAddresses
    private let logger: Logger
    /// Where we listen or are about to.
    private let known: Mutex<Set<InstanceAddress>>
    private let socketMode: UInt32

    /// - Parameters:
    ///   - requests: what will be opened; from now on these are our own addresses.
    ///   - socketMode: of Unix sockets: who may connect.
    package init(
        requests: [ListenAddress], socketMode: UInt32 = 0o600, addresses: OwnAddresses = OwnAddresses(), logger: Logger
    ) {
        self.addresses = addresses
        self.socketMode = socketMode
        self.logger = logger
        known = Mutex(Set(requests.filter { !$0.isOpen }.map(Self.address)))
    }

    /// Finds out, before anything is waited for, whether `address` can be listened on.
    /// - Throws: why not, naming the address: another process listens there, we may not, we do not have it.
    package func check(_ address: ListenAddress) throws(SyscallError) {
        guard !address.isOpen else { return }
        _ = try bind(address, count: 1)
    }

    /// Opens the sockets of one link, one for each worker (a Unix socket is shared by all), logs `listening` with where, and hands them over with `body`
    /// before anybody accepts.
    package func open(
        _ address: ListenAddress, link: Link, workers: Int, _ body: (consuming OwnedDescriptors) -> Void
    ) throws(SyscallError) {
        let sockets = try bind(address, count: workers)
        guard let first = sockets.numbers.first else { return }
        var bound = Self.address(address)
        if case .network = bound { bound = .network(try ListeningSockets.boundEndpoint(of: first)) }
        known.withLock { _ = $0.insert(bound) }
        logger.info("listening", metadata: ["link": "\(link.name)", "address": "\(bound)"])
        body(sockets)
    }

    /// Every endpoint that leads to one of our listeners, wildcards expanded to the addresses of this host.
    package var ownEndpoints: Set<Endpoint> {
        Set(known.withLock { $0 }.flatMap { $0.endpoint.map { addresses.expanding($0) } ?? [] })
    }

    /// Whether who dials `address` comes back to us.
    package func leadsBack(_ address: InstanceAddress) -> Bool {
        guard let endpoint = address.endpoint else { return known.withLock { $0.contains(address) } }
        return ownEndpoints.contains(endpoint)
    }

    private static func address(_ address: ListenAddress) -> InstanceAddress {
        switch address {
        case .at(let endpoint): .network(endpoint)
        case .anywhere(let port): .network(Endpoint(.unspecifiedV6, port: port))
        case .unix(let path): .unix(path)
        }
    }

    /// `EAFNOSUPPORT` and `EADDRNOTAVAIL` are what a kernel without IPv6, or with IPv6 switched off, says to `[::]`.
    private func bind(_ address: ListenAddress, count: Int) throws(SyscallError) -> OwnedDescriptors {
        switch address {
        case .unix(let path): return try ListeningSockets.bind(path, mode: socketMode)
        case .at(let endpoint): return try ListeningSockets.bind(endpoint, dualStack: false, count: count)
        case .anywhere(let port):
            do {
                let both = Endpoint(.unspecifiedV6, port: port)
                return try ListeningSockets.bind(both, dualStack: true, count: count)
            } catch  where error.isWithoutIPv6 {
                return try ListeningSockets.bind(Endpoint(.unspecifiedV4, port: port), dualStack: false, count: count)
            }
        }
    }
}
