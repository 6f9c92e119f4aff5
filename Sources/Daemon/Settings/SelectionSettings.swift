// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Discovery
private import Registration
package import ServiceModel

/// Where this process is, for those that ask for what is near.
package struct Place: Sendable, Hashable {
    /// Nil where the host has no name that others could know.
    package let node: String?
    package let zone: String?

    package init(node: String?, zone: String?) {
        self.node = node
        self.zone = zone
    }

    /// A node's or a zone's name; nil for text that can be neither.
    package static func name(_ text: String) -> String? { NodeIdentity.isAllowed(text) ? text : nil }
}

extension Trait {
    package static let allowedForm =
        "[SERVICE=]TRAIT, TRAIT node=NAME, zone=NAME, tag=TAG or meta.NAME=VALUE, != for all others, same-node "
        + "(with --node in a container) or same-zone (with --zone)"

    private static let meta = "meta."

    /// `zone=eu`, `tag!=canary`, `same-node`.
    package init?(_ text: String, at place: Place) {
        switch text {
        case "same-node":
            guard let node = place.node else { return nil }
            self.init(.node(node))
        case "same-zone":
            guard let zone = place.zone else { return nil }
            self.init(.zone(zone))
        default:
            guard let sign = text.firstIndex(of: "=") else { return nil }
            let value = String(text[text.index(after: sign)...])
            let isNegated = text[..<sign].hasSuffix("!")
            guard !value.isEmpty, let kind = Self.kind(String(text[..<sign].dropLast(isNegated ? 1 : 0)), value) else {
                return nil
            }
            self.init(kind, isNegated: isNegated)
        }
    }

    private static func kind(_ name: String, _ value: String) -> Kind? {
        switch name {
        case "node": Place.name(value).map(Kind.node)
        case "zone": Place.name(value).map(Kind.zone)
        case "tag": .tag(value)
        case _ where name.hasPrefix(meta) && name.utf8.count > meta.utf8.count:
            .meta(name: String(name.dropFirst(meta.count)), text: value)
        default: nil
        }
    }
}

extension SettingValues {
    /// `--node` and `--zone`; the host's own name unless told, and none in a container.
    package func place() throws(UsageError) -> Place {
        Place(node: try value(.node, Place.name) ?? HostFacts.nodeName, zone: try value(.zone, Place.name))
    }

    /// What `--select` and `--prefer` say.
    /// - Parameter services: those that are linked; nil where any may be named.
    package func selections(
        _ services: [ServiceName]? = nil, at place: Place
    ) throws(UsageError) -> (general: Selection, own: [ServiceName: Selection]) {
        let filters = try serviceLists(.select, among: services) { Trait($0, at: place) }
        let preferences = try serviceLists(.prefer, among: services, most: Selection.maximumPreferences) {
            Trait($0, at: place)
        }
        let general = Selection(filters: filters.general ?? [], preferences: preferences.general ?? [])
        var own: [ServiceName: Selection] = [:]
        for service in Set(filters.own.keys).union(preferences.own.keys) {
            own[service] = Selection(filters: filters[service] ?? [], preferences: preferences[service] ?? [])
        }
        return (general, own)
    }
}
