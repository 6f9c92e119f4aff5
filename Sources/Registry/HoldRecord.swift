// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// What a proxy says under `<prefix>-holds/<service>/<instance>/<process>`: that it goes on using an instance whose key
/// is gone, because its address still accepts connections.
package struct HoldRecord: Sendable, Hashable {
    package let endpoint: Endpoint
    /// The proxy's host.
    package let node: String
    /// RFC 3339: when the key went.
    package let since: String
    /// RFC 3339: when the proxy drops it at the latest.
    package let until: String
    /// Of the keys that the proxy reads: by it the hold's own key is read.
    package let order: KeyLayout.Order
    /// The key that went, where it stood elsewhere than the layout has it; nil: the hold's own key says which.
    package let key: String?

    package init(
        endpoint: Endpoint, node: String, since: String, until: String, order: KeyLayout.Order = .serviceFirst,
        key: String? = nil
    ) {
        self.endpoint = endpoint
        self.node = node
        self.since = since
        self.until = until
        self.order = order
        self.key = key
    }

    /// - Throws: why it cannot be read; all fields but `layout` and `key` are required.
    package init(decoding value: [UInt8]) throws(SkipReason) {
        guard value.count <= InstanceRecord.maximumLength else { throw .valueTooLong }
        let object = try JSONParser.object(value, maximumDepth: InstanceRecord.maximumDepth)
        if let version = object["v"], version.integer != 1 { throw .version }
        guard let address = object["host"]?.string.flatMap({ IPAddress($0) }) else { throw .host }
        guard let port = object["port"]?.integer.flatMap(UInt16.init(exactly:)), port > 0 else { throw .port }
        guard let node = object["node"]?.string, let since = object["since"]?.string,
            let until = object["until"]?.string
        else { throw .field }
        var order = KeyLayout.Order.serviceFirst
        if let layout = object["layout"] {
            guard let named = layout.string.flatMap(KeyLayout.Order.init(rawValue:)) else { throw .field }
            order = named
        }
        let key = object["key"]
        guard key == nil || (key?.string?.utf8.count).map({ $0 <= KeyLayout.maximumKeyLength }) ?? false else {
            throw .field
        }
        self.init(
            endpoint: Endpoint(address, port: port), node: node, since: since, until: until, order: order,
            key: key?.string)
    }

    /// The JSON without white space; the same record gives the same bytes.
    package func encoded() -> [UInt8] {
        var object: JSONObject = [
            "v": .integer(1), "host": .string(endpoint.address.description), "port": .integer(Int(endpoint.port)),
            "node": .string(node), "since": .string(since), "until": .string(until),
        ]
        if order != .serviceFirst { object["layout"] = .string(order.rawValue) }
        object["key"] = key.map(JSONValue.string)
        return object.encoded()
    }
}
