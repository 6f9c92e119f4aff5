// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import ServiceModel

extension OwnAddresses {
    /// As long as the system's resolver waits for one DNS server (resolv.conf, timeout).
    private static let lookupLimit = Duration.seconds(5)

    /// The address that we have on the way to the first endpoint of etcd that there is a way to.
    /// - Returns: nil when there is a way to none of them, or no name of theirs is known.
    package static func source(toward endpoints: [EtcdEndpoint]) async -> IPAddress? {
        for endpoint in endpoints {
            var addresses = [IPAddress(endpoint.host)].compactMap(\.self)
            if addresses.isEmpty {
                addresses = await NameLookup().addresses(of: endpoint.host, within: lookupLimit)
            }
            for address in addresses {
                let target = Endpoint(address, port: UInt16(clamping: endpoint.port))
                if let source = source(toward: target) { return source }
            }
        }
        return nil
    }
}
