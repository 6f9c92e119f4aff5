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

    package init(endpoint: Endpoint, node: String, since: String, until: String) {
        self.endpoint = endpoint
        self.node = node
        self.since = since
        self.until = until
    }

    /// - Throws: why it cannot be read; all fields are required.
    package init(decoding value: [UInt8]) throws(SkipReason) {
        guard value.count <= InstanceRecord.maximumLength else { throw .valueTooLong }
        let object = try JSONParser.object(value, maximumDepth: InstanceRecord.maximumDepth)
        if let version = object["v"], version.integer != 1 { throw .version }
        guard let address = object["host"]?.string.flatMap({ IPAddress($0) }) else { throw .host }
        guard let port = object["port"]?.integer.flatMap(UInt16.init(exactly:)), port > 0 else { throw .port }
        guard let node = object["node"]?.string, let since = object["since"]?.string,
            let until = object["until"]?.string
        else { throw .field }
        self.init(endpoint: Endpoint(address, port: port), node: node, since: since, until: until)
    }

    /// The JSON without white space; the same record gives the same bytes.
    package func encoded() -> [UInt8] {
        let object: JSONObject = [
            "v": .integer(1), "host": .string(endpoint.address.description), "port": .integer(Int(endpoint.port)),
            "node": .string(node), "since": .string(since), "until": .string(until),
        ]
        return object.encoded()
    }
}

extension KeyLayout {
    /// - Returns: what is held and by which process, of a hold's key; nil for any other key.
    package func parseHold(_ key: String) -> (service: ServiceName, instance: String, process: String)? {
        let start = "\(prefix)-holds/"
        guard key.utf8.starts(with: start.utf8), let slash = key.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            return nil
        }
        let process = key[key.utf8.index(after: slash)...]
        let held = key.utf8[..<slash].dropFirst(start.utf8.count)
        guard !process.isEmpty, let place = parse("\(prefix)/\(Substring(held))") else { return nil }
        return (place.service, place.instance, String(process))
    }
}
