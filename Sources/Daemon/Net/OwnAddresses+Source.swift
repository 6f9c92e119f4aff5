// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Etcd
package import ServiceModel

extension OwnAddresses {
    /// The address that we have on the way to the first endpoint of etcd that there is a way to.
    /// - Returns: nil when there is a way to none of them, or no name of theirs is known.
    package static func source(toward endpoints: [EtcdEndpoint]) async -> IPAddress? {
        for endpoint in endpoints {
            var addresses = [IPAddress(endpoint.host)].compactMap(\.self)
            if addresses.isEmpty {
                for await (_, answer) in NameLookup().answers(for: [endpoint.host]) {
                    if case .addresses(let found) = answer { addresses = found }
                }
            }
            for address in addresses {
                let target = Endpoint(address, port: UInt16(clamping: endpoint.port))
                if let source = source(toward: target) { return source }
            }
        }
        return nil
    }
}
