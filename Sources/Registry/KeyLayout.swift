// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Where things stand in the store: instances in one of two orders, `<prefix>/<service>/<instance>` or
/// `<prefix>-by-node/<node>/<service>/<instance>`, and their sisters `<prefix>-nodes`, `<prefix>-holds`,
/// `<prefix>-overrides`.
///
/// A service's name may hold slashes, an instance's may not: the last part of a key is always the instance.
package struct KeyLayout: Sendable, Hashable {
    /// Which part of an instance's key comes first.
    package enum Order: String, Sendable, Hashable, CaseIterable {
        /// The article's: a reader of one service asks for its keys alone.
        case serviceFirst = "service-first"
        /// Roles grant ranges of keys: a node can be confined to its own.
        case nodeFirst = "node-first"
    }

    /// Whose key an instance's is.
    package struct Place: Sendable, Hashable {
        package let service: ServiceName
        package let instance: String
        /// The key's node, decoded; nil in keys that name none.
        package let node: String?

        package init(service: ServiceName, instance: String, node: String? = nil) {
            self.service = service
            self.instance = instance
            self.node = node
        }
    }

    /// What an error message says of the allowed form of a prefix.
    package static let allowedForm = "(/[A-Za-z0-9._-]+)+, at most 100 bytes"

    /// Longest prefix in bytes: with the longest service (200) it leaves 200 of a key to the instance.
    package static let maximumPrefixLength = 100

    /// Longest key in bytes that is read or written (registry limits).
    package static let maximumKeyLength = 512

    /// `/services` unless told otherwise, the article's.
    package static let standard = KeyLayout(checked: "/services")

    /// Begins with a slash, ends without one.
    package let prefix: String
    package var order: Order

    /// - Returns: nil when `prefix` is not of the allowed form.
    package init?(prefix: String) {
        let bytes = prefix.utf8
        guard bytes.first == UInt8(ascii: "/"), bytes.count <= Self.maximumPrefixLength else { return nil }
        let parts = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(ServiceName.isAllowed) }) else { return nil }
        self.init(checked: prefix)
    }

    private init(checked prefix: String) {
        self.prefix = prefix
        order = .serviceFirst
    }

    // MARK: Instances

    /// What every instance's key begins with, the slash included.
    package var root: String {
        switch order {
        case .serviceFirst: "\(prefix)/"
        case .nodeFirst: "\(prefix)-by-node/"
        }
    }

    /// What the keys of anything of ours may begin with, in either order.
    package var roots: [String] { ["", "-by-node", "-nodes", "-holds", "-overrides"].map { "\(prefix)\($0)/" } }

    /// Every instance of every service.
    package var servicesRange: RegistryRange { .prefix(root) }

    /// Every instance of `service`, with those of the services below it (`a` covers `a/b`: `parse` tells them apart), or
    /// of all services where a service's keys do not stand together.
    package func range(of service: ServiceName) -> RegistryRange {
        switch order {
        case .serviceFirst: .prefix("\(root)\(service)/")
        case .nodeFirst: servicesRange
        }
    }

    /// - Parameters:
    ///   - instance: a name without a slash, see `InstanceName`.
    ///   - node: who writes it.
    package func key(service: ServiceName, instance: String, node: String) -> String {
        switch order {
        case .serviceFirst: "\(root)\(service)/\(instance)"
        case .nodeFirst: "\(root)\(InstanceName.encode(node))/\(service)/\(instance)"
        }
    }

    /// Where `place` stands; one that `parse` found has its node with it.
    package func key(_ place: Place) -> String {
        key(service: place.service, instance: place.instance, node: place.node ?? "")
    }

    /// - Returns: whose key this is; nil when it is longer than 512 bytes or not of this layout.
    package func parse(_ key: String) -> Place? {
        guard var rest = Self.remainder(of: key, below: root) else { return nil }
        var node: String?
        if order == .nodeFirst {
            guard let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")), slash > rest.startIndex,
                let name = InstanceName.decode(rest[..<slash])
            else { return nil }
            node = name
            rest = rest[rest.utf8.index(after: slash)...]
        }
        guard let (head, instance) = Self.splitLast(rest), let service = ServiceName(head) else { return nil }
        return Place(service: service, instance: String(instance), node: node)
    }

    // MARK: Registrators

    /// Every living registrator process.
    package var nodesRange: RegistryRange { .prefix("\(prefix)-nodes/") }

    /// The registrator processes that call themselves `node`.
    package func nodeRange(_ node: String) -> RegistryRange { .prefix("\(prefix)-nodes/\(InstanceName.encode(node))/") }

    /// Where one registrator process says that it lives.
    package func presenceKey(node: String, process: String) -> String {
        "\(prefix)-nodes/\(InstanceName.encode(node))/\(InstanceName.encode(process))"
    }

    /// - Returns: the node, decoded, and the process of a presence key; nil for any other key.
    package func parsePresence(_ key: String) -> (node: String, process: String)? {
        guard let rest = Self.remainder(of: key, below: "\(prefix)-nodes/"), let (head, process) = Self.splitLast(rest),
            let node = InstanceName.decode(head)
        else { return nil }
        return (node, String(process))
    }

    // MARK: Holds

    /// Every word of a proxy that it holds an instance.
    package var holdsRange: RegistryRange { .prefix("\(prefix)-holds/") }

    /// Where one proxy process says that it holds an instance that has left the registry: below the service in either
    /// order, because it is who serves it that has to be allowed to say so.
    package func holdKey(_ place: Place, process: String) -> String {
        let held = (place.node.map { [InstanceName.encode($0)] } ?? []) + [place.instance]
        return "\(prefix)-holds/\(place.service)/\(held.joined(separator: "/"))/\(InstanceName.encode(process))"
    }

    /// - Returns: what is held and by which process, of a hold's key; nil for any other key.
    package func parseHold(_ key: String) -> (place: Place, process: String)? {
        guard let rest = Self.remainder(of: key, below: "\(prefix)-holds/"), let (held, process) = Self.splitLast(rest),
            let (head, instance) = Self.splitLast(held)
        else { return nil }
        var (name, node) = (head, String?.none)
        if order == .nodeFirst {
            guard let (service, text) = Self.splitLast(head) else { return nil }
            (name, node) = (service, InstanceName.decode(text))
            guard node != nil else { return nil }
        }
        guard let service = ServiceName(name) else { return nil }
        return (Place(service: service, instance: String(instance), node: node), String(process))
    }

    /// - Returns: what is behind `start`; nil where nothing of ours can be: a key that is too long, or that is not
    ///   text. A store shows what is no UTF-8 as U+FFFD, so that two such keys may look the same: which is meant cannot
    ///   be told.
    package static func remainder(of key: String, below start: String) -> Substring? {
        guard key.utf8.count <= maximumKeyLength, key.utf8.starts(with: start.utf8) else { return nil }
        let rest = Substring(key.utf8.dropFirst(start.utf8.count))
        return rest.unicodeScalars.contains("\u{FFFD}") ? nil : rest
    }

    static func splitLast(_ text: Substring) -> (head: Substring, last: Substring)? {
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let last = text[text.utf8.index(after: slash)...]
        guard slash > text.startIndex, !last.isEmpty else { return nil }
        return (text[..<slash], last)
    }
}
