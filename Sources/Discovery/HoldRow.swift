// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry
package import ServiceModel

/// One proxy's word that it holds an instance whose key is gone, as `legation services` shows it.
package struct HoldRow: Sendable, Hashable {
    package let service: ServiceName
    /// The key that it stood under.
    package let key: String
    /// Of the proxy, see `DiscoveryConfiguration.Holder`.
    package let process: String
    package let record: HoldRecord

    /// - Parameter listing: of `layout.holdsRange`.
    /// - Returns: the words that can be read, in key order; what cannot be read says nothing.
    package static func rows(_ listing: RegistryListing, layout: KeyLayout) -> [HoldRow] {
        listing.entries.compactMap { entry in
            // Proxies of the other layout say so below the same prefix; their keys would be taken for something else.
            guard let record = try? HoldRecord(decoding: entry.value), record.order == layout.order,
                let (place, process) = layout.parseHold(entry.key)
            else { return nil }
            return HoldRow(
                service: place.service, key: record.key ?? layout.key(place), process: process, record: record)
        }
    }
}
