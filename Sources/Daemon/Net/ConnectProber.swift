// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import NIOCore
private import NIOPosix
package import ServiceModel

/// Finds out whether somebody accepts connections at an address: of an instance that vanished, of a container whose engine
/// is away, of an etcd.
///
/// It runs on the event loops that the etcd client uses anyway.
package struct ConnectProber: Prober {
    package init() {}

    /// Connects and closes at once, without a byte: a server sees a client that changed its mind.
    /// - Returns: whether the connection was made within `limit`.
    package func accepts(_ endpoint: Endpoint, within limit: Duration) async -> Bool {
        let milliseconds = limit.components.seconds * 1000 + limit.components.attoseconds / 1_000_000_000_000_000
        let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connectTimeout(.milliseconds(max(1, milliseconds)))
        do {
            let address = try NIOCore.SocketAddress(
                ipAddress: endpoint.address.description, port: Int(endpoint.port))
            let channel = try await bootstrap.connect(to: address).get()
            try? await channel.close()
            return true
        } catch {
            return false
        }
    }
}
