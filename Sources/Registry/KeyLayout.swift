// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Where things stand in the store: `<prefix>/<service>/<instance>` and its sisters `<prefix>-nodes`, `<prefix>-holds`.
///
/// A service's name may hold slashes, an instance's may not: the last part of a key is always the instance.
package struct KeyLayout: Sendable, Hashable {
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

    /// - Returns: nil when `prefix` is not of the allowed form.
    package init?(prefix: String) {
        let bytes = prefix.utf8
        guard bytes.first == UInt8(ascii: "/"), bytes.count <= Self.maximumPrefixLength else { return nil }
        let parts = bytes.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(ServiceName.isAllowed) }) else { return nil }
        self.init(checked: prefix)
    }

    private init(checked prefix: String) { self.prefix = prefix }

    // MARK: Instances

    /// Every instance of every service.
    package var servicesRange: RegistryRange { .prefix("\(prefix)/") }

    /// Every instance of `service`, with those of the services below it (`a` covers `a/b`: `parse` tells them apart).
    package func range(of service: ServiceName) -> RegistryRange { .prefix("\(prefix)/\(service)/") }

    /// - Parameter instance: a name without a slash, see `InstanceName`.
    package func key(service: ServiceName, instance: String) -> String { "\(prefix)/\(service)/\(instance)" }

    /// - Returns: whose key this is; nil when it is longer than 512 bytes or not `<prefix>/<service>/<instance>`.
    package func parse(_ key: String) -> (service: ServiceName, instance: String)? {
        guard let rest = remainder(of: key, below: "\(prefix)/"), let (head, instance) = Self.splitLast(rest),
            let service = ServiceName(head)
        else { return nil }
        return (service, String(instance))
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
        guard let rest = remainder(of: key, below: "\(prefix)-nodes/"), let (head, process) = Self.splitLast(rest),
            let node = InstanceName.decode(head)
        else { return nil }
        return (node, String(process))
    }

    // MARK: Holds

    /// Every word of a proxy that it holds an instance.
    package var holdsRange: RegistryRange { .prefix("\(prefix)-holds/") }

    /// Where one proxy process says that it holds an instance that has left the registry.
    package func holdKey(service: ServiceName, instance: String, process: String) -> String {
        "\(prefix)-holds/\(service)/\(instance)/\(InstanceName.encode(process))"
    }

    private func remainder(of key: String, below start: String) -> Substring? {
        guard key.utf8.count <= Self.maximumKeyLength, key.utf8.starts(with: start.utf8) else { return nil }
        return Substring(key.utf8.dropFirst(start.utf8.count))
    }

    private static func splitLast(_ text: Substring) -> (head: Substring, last: Substring)? {
        guard let slash = text.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let last = text[text.utf8.index(after: slash)...]
        guard slash > text.startIndex, !last.isEmpty else { return nil }
        return (text[..<slash], last)
    }
}
