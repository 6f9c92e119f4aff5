// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// Decides by which listings, without values, a registrator looks after its keys.
///
/// One listing from the first of them to the last is one request, however many services they belong to, and it brings the
/// keys of others in between as well. Where those are many, or where a role may not read all of it, each service's keys
/// are listed by themselves. Keys below a root of their own are never listed together with others.
package struct UpkeepRanges: Sendable {
    /// Foreign keys that are worth sparing the other requests: at some 120 bytes each, a quarter of a megabyte.
    package static let mostForeign = 2_000

    private let roots: [String]
    private var isSplit = false

    /// - Parameter roots: what keys begin with between which and the others a role cannot be expected to read.
    package init(apart roots: [String] = []) { self.roots = roots }

    /// - Parameters:
    ///   - keys: to be looked after; at least one, each of its service's folder.
    ///   - presences: where the registrators of our node say that they live: all of it is looked at.
    package func ranges(of keys: [String], presences: RegistryRange) -> [RegistryRange] {
        guard case .prefix(let folder) = presences else { return [presences] }
        let own = keys.filter { !presences.contains($0) }
        if isSplit { return [presences] + Self.spans(own, by: Self.folder(of:)) }
        let near = own.filter { root(of: $0) == nil }
        let apart = own.filter { root(of: $0) != nil }
        // The folder's own text comes before every key in it, and a key with a NUL behind right after it.
        let first = near.isEmpty ? presences : Self.span(near + [folder])
        return [first] + Self.spans(apart, by: root(of:))
    }

    /// What the listings of `ranges` brought.
    package mutating func listed(own: Int, all: Int) {
        if all - own > Self.mostForeign { isSplit = true }
    }

    /// A listing was refused. - Returns: whether there is another way.
    package mutating func refused() -> Bool {
        defer { isSplit = true }
        return !isSplit
    }

    private static func folder(of key: String) -> Substring? {
        key.utf8.lastIndex(of: UInt8(ascii: "/")).map { key[...$0] }
    }

    private func root(of key: String) -> Substring? {
        roots.first { key.utf8.starts(with: $0.utf8) }.map { $0[...] }
    }

    /// One span for the keys that `part` puts together, in key order.
    private static func spans(_ keys: [String], by part: (String) -> Substring?) -> [RegistryRange] {
        Dictionary(grouping: keys, by: part).values.map(span).sorted { "\($0)" < "\($1)" }
    }

    private static func span(_ keys: [String]) -> RegistryRange {
        let isBefore = { (left: String, right: String) in left.utf8.lexicographicallyPrecedes(right.utf8) }
        let (first, last) = (keys.min(by: isBefore) ?? "", keys.max(by: isBefore) ?? "")
        return .span(from: first, before: last + "\0")
    }
}
