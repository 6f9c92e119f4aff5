// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel

// MARK: One small reader for each; where they come from stands in docs/formats.md

extension EntryFormat {
    typealias NameTaker = InstanceRecord.NameTaker

    /// The key's last part says more, if it is of registrator's form; one that is not does no harm.
    static func registrator(
        _ value: [UInt8], key: String, _ names: NameTaker?
    ) throws(SkipReason) -> InstanceRecord {
        var record = InstanceRecord(endpoint: try endpoint(bare: value, names))
        var parts = key.split(separator: "/").last?.split(separator: ":") ?? []
        if parts.count == 4, parts[3] == "udp" { record.proto = String(parts.removeLast()) }
        guard parts.count == 3, HostPort.parsePort(parts[2]) != nil else { return record }
        record.node = String(parts[0])
        record.container = String(parts[1])
        return record
    }

    static func naming(_ object: JSONObject, _ names: NameTaker?) throws(SkipReason) -> InstanceRecord {
        // 1 is a deletion, which is a message between resolvers and never stands in etcd.
        if let operation = object["Op"], operation != .null, operation.integer != 0 { throw .state }
        guard let address = object["Addr"]?.string else { throw .host }
        var record = InstanceRecord(endpoint: try endpoint(address, names))
        switch object["Metadata"] {
        case nil, .null: break
        case .object(let metadata): record.meta = metadata
        case let value?: record.meta = ["metadata": value]
        }
        return record
    }

    static func skydns(_ object: JSONObject, _ names: NameTaker?) throws(SkipReason) -> InstanceRecord {
        var record = InstanceRecord(
            endpoint: try InstanceRecord.endpoint(host: object["host"], port: object["port"], names))
        // 0 is unsaid there, not "none": it shares what others leave.
        if let weight = try integer(object["weight"], orElse: .weight), weight != 0 { try set(weight, of: &record) }
        // 0 is unsaid as well, and means 10: ours of 0. Who stands there beside what `register --also` writes is its equal.
        if let priority = try integer(object["priority"], orElse: .field), priority != 0 {
            record.priority = Int(Int32(clamping: priority)) - SecondForm.firstPriority
        }
        if let text = object["text"]?.string, !text.isEmpty { record.meta = ["text": .string(text)] }
        return record
    }

    static func kratos(_ object: JSONObject, _ names: NameTaker?) throws(SkipReason) -> InstanceRecord {
        guard case .array(let endpoints) = object["endpoints"] else { throw .host }
        let urls = endpoints.compactMap(\.string)
        guard urls.count == endpoints.count, !urls.isEmpty else { throw .host }
        // A service has a door for each of its protocols; one entry is one instance.
        let url = urls.first { $0.hasPrefix("grpc://") } ?? urls[0]
        guard let scheme = url.firstRange(of: "://") else { throw .host }
        let rest = url[scheme.upperBound...]
        var record = InstanceRecord(endpoint: try endpoint(rest.prefix { $0 != "?" && $0 != "/" }, names))
        if case .object(let metadata) = object["metadata"] { record.meta = metadata }
        if let version = object["version"]?.string, !version.isEmpty { record.meta["version"] = .string(version) }
        return record
    }

    static func nerve(_ object: JSONObject, _ names: NameTaker?) throws(SkipReason) -> InstanceRecord {
        var record = InstanceRecord(
            endpoint: try InstanceRecord.endpoint(host: object["host"], port: object["port"], names))
        // What is unsaid is HAProxy's own default, which theirs are weighed against.
        record.weight = 1
        if let weight = try integer(object["weight"], orElse: .weight) { try set(weight, of: &record) }
        if case .object(let labels) = object["labels"] { record.meta = labels }
        return record
    }

    // MARK: Parts

    static func object(_ value: [UInt8]) throws(SkipReason) -> JSONObject {
        try JSONParser.object(value, maximumDepth: InstanceRecord.maximumDepth)
    }

    static func endpoint(bare value: [UInt8], _ names: NameTaker? = nil) throws(SkipReason) -> Endpoint {
        guard let text = String(validating: value, as: UTF8.self) else { throw .host }
        let space: Set<Character> = [" ", "\t", "\r", "\n", "\r\n"]
        let end = text.lastIndex { !space.contains($0) }
        guard let end, let begin = text.firstIndex(where: { !space.contains($0) }) else { throw .host }
        return try endpoint(text[begin...end], names)
    }

    /// Whether it is an address, or a name in the place of one, with a port.
    static func isBareAddress(_ value: [UInt8]) -> Bool {
        do throws(SkipReason) {
            _ = try endpoint(bare: value)
            return true
        } catch {
            return error == .name || error == .port
        }
    }

    private static func endpoint(
        _ text: some StringProtocol, _ names: NameTaker?
    ) throws(SkipReason) -> Endpoint {
        guard let target = HostPort(text) else { throw .host }
        guard target.port > 0 else { throw .port }
        return Endpoint(try InstanceRecord.address(target.host, names), port: target.port)
    }

    private static func integer(
        _ value: JSONValue?, orElse reason: SkipReason
    ) throws(SkipReason) -> Int? {
        guard let value, value != .null else { return nil }
        guard let integer = value.integer else { throw reason }
        return integer
    }

    private static func set(_ weight: Int, of record: inout InstanceRecord) throws(SkipReason) {
        guard InstanceRecord.weights.contains(weight) else { throw .weight }
        record.weight = weight
    }
}
