// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import ServiceModel

/// How an entry of the registry is written: by us, or by one of those who did before us (docs/formats.md).
///
/// Each is read into the same `InstanceRecord`; none is ever written here. The raw value is what operators write.
package enum EntryFormat: String, Sendable, Hashable, CaseIterable {
    /// `{"host":"10.0.0.1","port":6379,…}`: ours, and the article's of 2014.
    case legation
    /// registrator: `10.0.0.1:6379` under `<host>:<container>:<port>[:udp]`.
    case registrator
    /// etcd's own naming for gRPC: `{"Op":0,"Addr":"10.0.0.1:6379","Metadata":…}`.
    case naming
    /// SkyDNS, and CoreDNS after it: `{"host":"10.0.0.1","port":6379,"priority":…,"weight":…,"ttl":…}`.
    case skydns
    /// Kratos: `{"id":…,"name":…,"version":…,"metadata":{…},"endpoints":["grpc://10.0.0.1:9000?isSecure=false"]}`.
    case kratos
    /// go-zero: `10.0.0.1:6379`.
    case goZero = "go-zero"
    /// nerve: `{"host":"10.0.0.1","port":6379,"name":…,"weight":…,"labels":{…}}`.
    case nerve

    /// Of ours, those that nerve's values do not have: `weight` is in both.
    private static let ownFields = ["proto", "node", "container", "priority", "tags", "meta", "state", "since", "zone"]
    private static let ownBeginning = Array(#"{"v":"#.utf8)

    /// What an entry seems to be when nobody says: by the fields that only one of them has. An entry of none is taken for
    /// ours, so that what is wrong with it is told in our own words.
    package init(detecting value: [UInt8]) {
        // As `register` writes them: the rest need not be read twice.
        guard !value.starts(with: Self.ownBeginning), value.count <= InstanceRecord.maximumLength else {
            self = .legation
            return
        }
        guard let object = try? Self.object(value) else {
            // go-zero's look the same, and nothing of registrator's key says more than its own parts.
            self = Self.isBareAddress(value) ? .registrator : .legation
            return
        }
        let has = { (names: [String]) in names.contains { object[$0] != nil } }
        if has(["v"]) {
            self = .legation
        } else if has(["Addr"]) {
            self = .naming
        } else if has(["endpoints"]) {
            self = .kratos
        } else if has(["ttl", "text", "mail", "group", "targetstrip"]) {
            self = .skydns
        } else if has(["name"]),
            has(["haproxy_server_options", "labels"]) || has(["host"]) && has(["port"]) && !has(Self.ownFields)
        {
            // Labels are only there when there are some: beside a labelled one its weight must mean the same.
            self = .nerve
        } else {
            self = .legation
        }
    }

    /// - Parameters:
    ///   - value: at most 4 KiB; more is refused before anything is looked at.
    ///   - key: for formats that say something in it.
    /// - Throws: why no reader may use it. Whether the address may be dialled is `TargetPolicy`'s word.
    package func decode(_ value: [UInt8], key: String) throws(SkipReason) -> InstanceRecord {
        try decode(value, key: key, names: nil)
    }

    /// The same for a value whose host is a name.
    /// - Returns: the name, and the record at an address that means nothing; nil for a value whose host is a literal.
    package func decodeNamed(
        _ value: [UInt8], key: String
    ) throws(SkipReason) -> (name: String, record: InstanceRecord)? {
        var name: String?
        let record = try decode(value, key: key) { text in
            name = text
            return .loopbackV4
        }
        return name.map { ($0, record) }
    }

    private func decode(
        _ value: [UInt8], key: String, names: InstanceRecord.NameTaker?
    ) throws(SkipReason) -> InstanceRecord {
        guard value.count <= InstanceRecord.maximumLength else { throw .valueTooLong }
        switch self {
        case .legation: return try InstanceRecord(json: try Self.object(value), names: names)
        case .registrator: return try Self.registrator(value, key: key, names)
        case .goZero: return InstanceRecord(endpoint: try Self.endpoint(bare: value, names))
        case .naming: return try Self.naming(try Self.object(value), names)
        case .skydns: return try Self.skydns(try Self.object(value), names)
        case .kratos: return try Self.kratos(try Self.object(value), names)
        case .nerve: return try Self.nerve(try Self.object(value), names)
        }
    }
}
