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
    package let endpoint: Endpoint
    /// `tcp`; with anything else it is no member of the service for a reader of TCP.
    package var proto = "tcp"
    /// The writer's name for its host. The writer's word only: it opens nothing.
    package var node: String?
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
    private var unknown = JSONObject()

    package init(endpoint: Endpoint) { self.endpoint = endpoint }

    package var host: String { endpoint.address.description }
    package var port: Int { Int(endpoint.port) }

    /// - Parameter value: at most 4 KiB of JSON; more is refused before anything is looked at.
    /// - Throws: why no reader may use it. `proto` is not judged here, because a record of another protocol is a
    ///   valid one of somebody else's: see `tcpProblem`.
    package init(decoding value: [UInt8]) throws(SkipReason) {
        guard value.count <= Self.maximumLength else { throw .valueTooLong }
        var object = try JSONParser.object(value, maximumDepth: Self.maximumDepth)
        if let version = object.take("v"), version.integer != 1 { throw .version }
        endpoint = try Self.endpoint(host: object.take("host"), port: object.take("port"))
        proto = try Self.text(object.take("proto")) ?? "tcp"
        node = try Self.text(object.take("node"))
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
    package func encoded() -> [UInt8] {
        var object: JSONObject = ["v": .integer(1), "host": .string(host), "port": .integer(port)]
        object["proto"] = .string(proto)
        object["node"] = node.map(JSONValue.string)
        object["container"] = container.map(JSONValue.string)
        object["weight"] = .integer(weight)
        object["priority"] = .integer(priority)
        if !tags.isEmpty { object["tags"] = .array(tags.map(JSONValue.string)) }
        if !meta.isEmpty { object["meta"] = .object(meta) }
        object["state"] = .string(state.rawValue)
        object["since"] = since.map(JSONValue.string)
        for member in unknown.members { object[member.name] = member.value }
        return object.encoded()
    }

    private static func endpoint(host: JSONValue?, port: JSONValue?) throws(SkipReason) -> Endpoint {
        guard let text = host?.string else { throw .host }
        guard let address = IPAddress(text) else { throw isName(text) ? .name : .host }
        guard let number = port?.integer, let port = UInt16(exactly: number), port > 0 else { throw .port }
        return Endpoint(address, port: port)
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
