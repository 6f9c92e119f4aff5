// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// What a registrator process says of itself under `<prefix>-nodes/<node>/<process>`, on its lease.
package struct PresenceRecord: Sendable, Hashable {
    package let node: String
    /// The address that it publishes; nil when it does not say.
    package let address: IPAddress?
    package let zone: String?
    /// Of the program, to show version skew.
    package let version: String
    /// A hash of the kernel's boot id: the same for everything on one running machine, containers included.
    package let boot: String
    /// RFC 3339: since when the process publishes.
    package let since: String

    package init(node: String, address: IPAddress?, zone: String?, version: String, boot: String, since: String) {
        self.node = node
        self.address = address
        self.zone = zone
        self.version = version
        self.boot = boot
        self.since = since
    }

    /// - Parameter node: the key's; what the value says of it does not count.
    /// - Throws: why it cannot be read. Only `boot` is required: a registrator that says so little is one all the same.
    package init(decoding value: [UInt8], node: String) throws(SkipReason) {
        guard value.count <= InstanceRecord.maximumLength else { throw .valueTooLong }
        let object = try JSONParser.object(value, maximumDepth: InstanceRecord.maximumDepth)
        if let version = object["v"], version.integer != 1 { throw .version }
        guard let boot = object["boot"]?.string else { throw .field }
        self.init(
            node: node, address: object["address"]?.string.flatMap { IPAddress($0) }, zone: object["zone"]?.string,
            version: object["version"]?.string ?? "", boot: boot, since: object["since"]?.string ?? "")
    }

    /// The JSON without white space; the same record gives the same bytes.
    package func encoded() -> [UInt8] {
        var object: JSONObject = ["v": .integer(1), "node": .string(node)]
        object["address"] = (address?.description).map(JSONValue.string)
        object["zone"] = zone.map(JSONValue.string)
        object["version"] = .string(version)
        object["boot"] = .string(boot)
        object["since"] = .string(since)
        return object.encoded()
    }
}
