// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// What stands under an instance's key: one JSON object, version 1, of which `host` and `port` are required.
///
/// Fields that this version does not know are kept, so that an older program that rewrites a newer one's value loses
/// nothing. The 2014 article's `{"port":49153,"host":"10.0.0.1"}` is such a value.
package struct InstanceRecord: Sendable, Hashable {
    package enum State: String, Sendable, Hashable, CaseIterable {
        case up
        /// About to leave: takes no new connections.
        case draining
    }

    /// Longest value in bytes that is read or written (registry limits).
    package static let maximumLength = 4096
    /// Arrays and objects within each other, the record itself counted (registry limits).
    package static let maximumDepth = 8
    package static let weights = 0...1000

    /// Where it accepts connections; the port is never 0. Whether it may be dialled is `TargetPolicy`'s word.
    package private(set) var endpoint: Endpoint
    /// `tcp`; with anything else it is no member of the service for a reader of TCP.
    package var proto = "tcp"
    /// The writer's name for its host. The writer's word only: it opens nothing.
    package var node: String?
    /// The writer's name for where that host is; in other programs' entries, which have no such field, what `meta` calls so.
    package var zone: String? {
        get { ownZone ?? meta["zone"]?.string }
        set { ownZone = newValue }
    }
    package var container: String?
    /// Share of new connections, 0...1000.
    package var weight = 100
    /// Lower is preferred.
    package var priority = 0
    package var tags: [String] = []
    /// What the operator wants readers to know.
    package var meta: JSONObject = [:]
    package var state = State.up
    /// RFC 3339: since when the writer has published it.
    package var since: String?
    private var ownZone: String?
    private var unknown = JSONObject()

    package init(endpoint: Endpoint) { self.endpoint = endpoint }

    package var host: String { endpoint.address.description }
    package var port: Int { Int(endpoint.port) }

    typealias NameTaker = (String) -> IPAddress

    /// - Parameter value: at most 4 KiB of JSON; more is refused before anything is looked at.
    /// - Throws: why no reader may use it. `proto` is not judged here, because a record of another protocol is a
    ///   valid one of somebody else's: see `tcpProblem`.
    package init(decoding value: [UInt8]) throws(SkipReason) {
        guard value.count <= Self.maximumLength else { throw .valueTooLong }
        try self.init(json: try JSONParser.object(value, maximumDepth: Self.maximumDepth))
    }

    /// The same at another address of its host.
    package func at(_ address: IPAddress) -> InstanceRecord {
        var record = self
        record.endpoint = Endpoint(address, port: endpoint.port)
        return record
    }

    /// - Parameter names: takes a host that is a name, and says what is to stand for it; nil where names are refused.
    /// - Throws: why no reader may use it.
    init(json: JSONObject, names: NameTaker? = nil) throws(SkipReason) {
        var object = json
        if let version = object.take("v"), version.integer != 1 { throw .version }
        endpoint = try Self.endpoint(host: object.take("host"), port: object.take("port"), names)
        proto = try Self.text(object.take("proto")) ?? "tcp"
        node = try Self.text(object.take("node"))
        ownZone = try Self.text(object.take("zone"))
        container = try Self.text(object.take("container"))
        since = try Self.text(object.take("since"))
        if let value = object.take("weight") {
            guard let weight = value.integer, Self.weights.contains(weight) else { throw .weight }
            self.weight = weight
        }
        if let value = object.take("priority") {
            guard let priority = value.integer else { throw .field }
            self.priority = priority
        }
        if let value = object.take("state") {
            guard let state = value.string.flatMap(State.init(rawValue:)) else { throw .state }
            self.state = state
        }
        tags = try Self.tags(object.take("tags"))
        if let value = object.take("meta") {
            guard case .object(let meta) = value else { throw .field }
            self.meta = meta
        }
        unknown = object
    }

    /// `.proto` when it is not TCP: then it is neither used nor counted as a member.
    package var tcpProblem: SkipReason? { proto == "tcp" ? nil : .proto }

    /// The JSON without white space; the same record gives the same bytes.
    package func encoded() -> [UInt8] { json.encoded() }

    /// The same record gives the same members in the same order.
    var json: JSONObject {
        var object: JSONObject = ["v": .integer(1), "host": .string(host), "port": .integer(port)]
        object["proto"] = .string(proto)
        object["node"] = node.map(JSONValue.string)
        object["zone"] = ownZone.map(JSONValue.string)
        object["container"] = container.map(JSONValue.string)
        object["weight"] = .integer(weight)
        object["priority"] = .integer(priority)
        if !tags.isEmpty { object["tags"] = .array(tags.map(JSONValue.string)) }
        if !meta.isEmpty { object["meta"] = .object(meta) }
        object["state"] = .string(state.rawValue)
        object["since"] = since.map(JSONValue.string)
        for member in unknown.members { object[member.name] = member.value }
        return object
    }

    static func endpoint(
        host: JSONValue?, port: JSONValue?, _ names: NameTaker? = nil
    ) throws(SkipReason) -> Endpoint {
        guard let text = host?.string else { throw .host }
        let address = try address(text, names)
        guard let number = port?.integer, let port = UInt16(exactly: number), port > 0 else { throw .port }
        return Endpoint(address, port: port)
    }

    static func address(_ text: String, _ names: NameTaker? = nil) throws(SkipReason) -> IPAddress {
        if let address = IPAddress(text) { return address }
        guard isName(text) else { throw .host }
        guard let names else { throw .name }
        return names(text)
    }

    /// Whether a resolver could be asked for it and no C library would read it as a number: `0x7f.1`, `127.1` and
    /// `2130706433` are addresses to inet_aton, so they are bad literals here, not names.
    private static func isName(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count), text.utf8.allSatisfy(ServiceName.isAllowed),
            let last = text.split(separator: ".").last
        else { return false }
        return !last.utf8.allSatisfy { (48...57).contains($0) } && !last.lowercased().hasPrefix("0x")
    }

    private static func text(_ value: JSONValue?) throws(SkipReason) -> String? {
        guard let value else { return nil }
        guard let text = value.string else { throw .field }
        return text
    }

    private static func tags(_ value: JSONValue?) throws(SkipReason) -> [String] {
        guard let value else { return [] }
        guard case .array(let values) = value else { throw .field }
        let tags = values.compactMap(\.string)
        guard tags.count == values.count else { throw .field }
        return tags
    }
}

extension JSONObject {
    /// Removes and returns a member; null counts as absent.
    fileprivate mutating func take(_ name: String) -> JSONValue? {
        guard let value = self[name] else { return nil }
        self[name] = nil
        return value == .null ? nil : value
    }
}
