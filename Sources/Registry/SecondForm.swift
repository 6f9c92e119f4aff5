// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// An instance in another program's words, beside its own record (`--also`): where it stands, and what it says.
///
/// None of these forms knows a state: what takes no new connections does not stand in them at all.
package struct SecondForm: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        /// For CoreDNS' etcd plugin and SkyDNS: an instance is a name below its service's name.
        case skydns
        /// For gRPC's resolver in etcd's Go client.
        case naming
        /// As gliderlabs/registrator wrote them.
        case registrator
    }

    /// What an error message says of the allowed form.
    package static let allowedForm =
        "skydns[:DOMAIN][:PREFIX], naming[:PREFIX] or registrator[:PREFIX]; DOMAIN is DNS labels, PREFIX "
        + "[/]NAME[/NAME...] of [A-Za-z0-9._-], at most 100 bytes, for skydns with the slash in front"

    /// The domain of CoreDNS' own example, and SkyDNS' default.
    static let standardDomain = "skydns.local"

    package let kind: Kind
    /// Without the domain; ends without a slash.
    package let prefix: String
    /// Of SkyDNS, from the name's left to its right, in lower case; empty for the others.
    let domain: [String]

    /// - Returns: nil when `text` is not of the allowed form.
    package init?(_ text: some StringProtocol) {
        let parts = String(text).split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard let kind = Kind(rawValue: parts[0]) else { return nil }
        var rest = parts.dropFirst()
        self.kind = kind
        if kind == .skydns {
            let name = rest.first.flatMap { $0.hasPrefix("/") ? nil : $0 }
            if name != nil { rest.removeFirst() }
            guard let labels = DomainName.labels(name ?? Self.standardDomain) else { return nil }
            domain = labels
        } else {
            domain = []
        }
        let prefix = rest.popFirst() ?? Self.standardPrefix(of: kind)
        guard rest.isEmpty, Self.isPrefix(prefix), kind != .skydns || prefix.hasPrefix("/") else { return nil }
        self.prefix = prefix
    }

    /// CoreDNS' own; for the others what no program claims.
    private static func standardPrefix(of kind: Kind) -> String {
        switch kind {
        case .skydns: "/skydns"
        // gRPC's targets lose their first slash: `etcd:///services/redis` asks for `services/redis/`.
        case .naming: "services"
        case .registrator: "/registrator"
        }
    }

    private static func isPrefix(_ text: String) -> Bool {
        KeyLayout(prefix: text.hasPrefix("/") ? text : "/\(text)") != nil
    }

    /// What all keys of the form begin with, the slash included.
    package var root: String { ([prefix] + domain.reversed()).joined(separator: "/") + "/" }

    /// Whether a key of the one could be taken for one of the other, or of the layout's.
    package func collides(with other: SecondForm) -> Bool {
        root.hasPrefix(other.root) || other.root.hasPrefix(root)
    }

    package func collides(with layout: KeyLayout) -> Bool {
        layout.roots.contains { root.hasPrefix($0) || $0.hasPrefix(root) }
    }

    // MARK: What stands

    /// - Returns: nil when the form cannot name the service.
    package func key(service: ServiceName, instance: String) -> String? {
        switch kind {
        case .naming, .registrator: return "\(root)\(service)/\(instance)"
        case .skydns:
            // Parts of a service lie below one another in DNS as in etcd; within a part, labels read as in a name.
            let path = service.description.split(separator: "/", omittingEmptySubsequences: false)
                .map { DomainName.labels($0)?.reversed() }
            guard path.allSatisfy({ $0 != nil }) else { return nil }
            let id = DomainName.label(instance, unique: "\(service)/\(instance)")
            let labels = path.compactMap(\.self).flatMap(\.self) + [id]
            guard DomainName.isShort(labels + domain) else { return nil }
            return root + labels.joined(separator: "/")
        }
    }

    /// What an error message says of a service that the form cannot name.
    package static let allowedService = "DNS labels, [A-Za-z0-9_-]+ of at most 63 bytes, with dots or slashes between"

    /// - Returns: nil when the instance is not to stand in this form: it takes no new connections, or not over TCP where
    ///   only that can be said.
    package func value(_ record: InstanceRecord) -> [UInt8]? {
        guard record.state == .up, record.weight > 0 else { return nil }
        switch kind {
        case .skydns: return Self.skyDNS(record)
        case .naming: return record.tcpProblem == nil ? Self.naming(record) : nil
        case .registrator: return Array(record.endpoint.description.utf8)
        }
    }

    /// How long a resolver may remember an entry, in seconds: as long as a dead instance's entry stands by default.
    private static let rememberedSeconds = 10
    /// CoreDNS takes 10 where it reads 0: ours begin there, so that those of other writers compare as they should.
    static let firstPriority = 10
    /// Of an SRV record (RFC 2782).
    private static let priorities = 0...65_535

    private static func skyDNS(_ record: InstanceRecord) -> [UInt8] {
        let priority = min(max(record.priority, 0), priorities.upperBound - firstPriority) + firstPriority
        let object: JSONObject = [
            "host": .string(record.host), "port": .integer(record.port), "priority": .integer(priority),
            "weight": .integer(record.weight), "ttl": .integer(rememberedSeconds),
        ]
        return object.encoded()
    }

    /// Without metadata: gRPC compares addresses with it, and ends its program when it is an object (etcd#19700).
    private static func naming(_ record: InstanceRecord) -> [UInt8] {
        let object: JSONObject = ["Op": .integer(0), "Addr": .string(record.endpoint.description), "Metadata": .null]
        return object.encoded()
    }
}

/// Names of DNS, as CoreDNS looks for them: in lower case.
private enum DomainName {
    /// RFC 1035.
    private static let longestLabel = 63
    private static let longestName = 253

    /// - Returns: the labels from left to right, in lower case; nil when one is none.
    static func labels(_ text: some StringProtocol) -> [String]? {
        let labels = text.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        return labels.allSatisfy(isLabel) && isShort(labels) ? labels : nil
    }

    static func isShort(_ labels: [String]) -> Bool { labels.joined(separator: ".").utf8.count <= longestName }

    /// Of any text a label that people recognise: as it is, if it is one; else with what is no letter or digit replaced,
    /// cut, and with a hash of `unique` behind, so that different ones stay different.
    static func label(_ text: String, unique: String) -> String {
        if isHostLabel(text) { return text }
        let hash = unique.utf8.fnv1a
        let bytes = text.lowercased().utf8.map { isLetterOrDigit($0) ? $0 : UInt8(ascii: "-") }
        return String(decoding: bytes.prefix(longestLabel - 1 - hash.utf8.count), as: UTF8.self) + "-" + hash
    }

    private static func isLabel(_ text: String) -> Bool {
        (1...longestLabel).contains(text.utf8.count)
            && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    private static func isHostLabel(_ text: String) -> Bool {
        isLabel(text) && text.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
            && text.utf8.first != UInt8(ascii: "-") && text.utf8.last != UInt8(ascii: "-")
    }

    /// Lower case alone: CoreDNS asks for nothing else.
    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
