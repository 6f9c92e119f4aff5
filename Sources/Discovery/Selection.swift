// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry

/// Which instances of a service are used here, and which of them before the others.
package struct Selection: Sendable, Hashable {
    /// As many as an operator will ever need, and a priority leaves room for.
    package static let maximumPreferences = 15

    /// All of these must be true of an instance that is used.
    package var filters: [Trait]
    /// One of which the first is true is used before one of which only the second is, and so on; those of which none is
    /// are used when nobody else can be.
    package var preferences: [Trait]

    /// - Parameter preferences: `maximumPreferences` at the most.
    package init(filters: [Trait] = [], preferences: [Trait] = []) {
        precondition(preferences.count <= Self.maximumPreferences)
        self.filters = filters
        self.preferences = preferences
    }

    func accepts(_ traits: Traits) -> Bool { filters.allSatisfy { $0.isTrue(of: traits) } }

    /// 0 for the most preferred.
    func rank(of traits: Traits) -> Int {
        preferences.firstIndex { $0.isTrue(of: traits) } ?? preferences.count
    }

    /// What of a record the selection asks about: the rest need not be remembered.
    func traits(of record: InstanceRecord) -> Traits {
        var traits = Traits(node: record.node)
        for trait in filters + preferences {
            switch trait.kind {
            case .node: break
            case .zone: traits.zone = record.zone
            case .tag(let tag): if record.tags.contains(tag) { traits.tags.insert(tag) }
            case .meta(let name, _): traits.meta[name] = record.meta[name]
            }
        }
        return traits
    }
}

/// Something that is true of an instance, or not.
package struct Trait: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case node(String)
        case zone(String)
        case tag(String)
        /// A value of `meta` as text: a number's digits, `true`, `false`.
        case meta(name: String, text: String)
    }

    package let kind: Kind
    /// Whether it is meant to be false.
    package let isNegated: Bool

    package init(_ kind: Kind, isNegated: Bool = false) {
        self.kind = kind
        self.isNegated = isNegated
    }

    func isTrue(of traits: Traits) -> Bool {
        let holds =
            switch kind {
            case .node(let node): traits.node == node
            case .zone(let zone): traits.zone == zone
            case .tag(let tag): traits.tags.contains(tag)
            case .meta(let name, let text): traits.meta[name]?.text == text
            }
        return holds != isNegated
    }
}

/// What an instance says of itself, as far as a selection asks.
struct Traits: Sendable, Hashable {
    var node: String?
    var zone: String?
    var tags: Set<String> = []
    var meta: [String: JSONValue] = [:]

    /// Puts it back where it was read.
    func apply(to record: inout InstanceRecord) {
        record.node = node
        record.zone = zone
        record.tags = tags.sorted()
        for (name, value) in meta.sorted(by: { $0.key < $1.key }) { record.meta[name] = value }
    }
}

extension JSONValue {
    /// As an operator would write it; nil for a list, an object, and null.
    fileprivate var text: String? {
        switch self {
        case .string(let text), .number(let text): text
        case .bool(let value): value ? "true" : "false"
        case .null, .array, .object: nil
        }
    }
}
