// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Relay
package import ServiceModel
private import Synchronization

/// The addresses that this process listens on: makes the sockets, and knows which endpoints lead back to us.
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
    private let known: Mutex<Set<Endpoint>>

    /// - Parameter requests: what will be opened; from now on these are our own endpoints.
    package init(requests: [ListenAddress], addresses: OwnAddresses = OwnAddresses(), logger: Logger) {
        self.addresses = addresses
        self.logger = logger
        known = Mutex(Set(requests.filter { $0.port != 0 }.map(Self.endpoint)))
    }

    /// Finds out, before anything is waited for, whether `address` can be listened on.
    /// - Throws: why not, naming the address: another process listens there, we may not, we do not have it.
    package func check(_ address: ListenAddress) throws(SyscallError) {
        guard address.port != 0 else { return }
        _ = try Self.bind(address, count: 1)
    }

    /// Opens the sockets of one link, one for each worker, logs `listening` with where, and hands them over with `body`
    /// before anybody accepts.
    package func open(
        _ address: ListenAddress, link: Link, workers: Int, _ body: (consuming OwnedDescriptors) -> Void
    ) throws(SyscallError) {
        let sockets = try Self.bind(address, count: workers)
        guard let first = sockets.numbers.first else { return }
        let bound = try ListeningSockets.boundEndpoint(of: first)
        known.withLock { _ = $0.insert(bound) }
        logger.info("listening", metadata: ["link": "\(link.name)", "address": "\(bound)"])
        body(sockets)
    }

    /// Every endpoint that leads to one of our listeners, wildcards expanded to the addresses of this host.
    package var ownEndpoints: Set<Endpoint> {
        Set(known.withLock { $0 }.flatMap { addresses.expanding($0) })
    }

    private static func endpoint(_ address: ListenAddress) -> Endpoint {
        switch address {
        case .at(let endpoint): endpoint
        case .anywhere(let port): Endpoint(.unspecifiedV6, port: port)
        }
    }

    /// `EAFNOSUPPORT` and `EADDRNOTAVAIL` are what a kernel without IPv6, or with IPv6 switched off, says to `[::]`.
    private static func bind(_ address: ListenAddress, count: Int) throws(SyscallError) -> OwnedDescriptors {
        guard case .anywhere(let port) = address else {
            return try ListeningSockets.bind(endpoint(address), dualStack: false, count: count)
        }
        do {
            return try ListeningSockets.bind(endpoint(address), dualStack: true, count: count)
        } catch  where error.isWithoutIPv6 {
            return try ListeningSockets.bind(Endpoint(.unspecifiedV4, port: port), dualStack: false, count: count)
        }
    }
}
