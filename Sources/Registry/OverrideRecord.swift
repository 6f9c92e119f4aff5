// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// An operator's word about an instance, under `<prefix>-overrides/<service>/<instance>`: read by proxies, never by
/// registrators. `*` for the instance speaks of all of a service that have no word of their own.
package struct OverrideRecord: Sendable, Hashable {
    package enum Word: Sendable, Hashable {
        /// No new connections, whatever the registrator says.
        case draining
        /// 0...1000 instead of the registrator's.
        case weight(Int)
    }

    /// What stands for every instance.
    package static let everyInstance = "*"

    package let word: Word
    /// Who said it.
    package let by: String?
    /// RFC 3339.
    package let since: String?
    /// RFC 3339: when it ends by itself; nil: when it is undone.
    package let until: String?

    package init(_ word: Word, by: String?, since: String?, until: String?) {
        self.word = word
        self.by = by
        self.since = since
        self.until = until
    }

    /// - Throws: why it cannot be read. Exactly one of `state` and `weight` is required; the only `state` is `draining`.
    package init(decoding value: [UInt8]) throws(SkipReason) {
        guard value.count <= InstanceRecord.maximumLength else { throw .valueTooLong }
        let object = try JSONParser.object(value, maximumDepth: InstanceRecord.maximumDepth)
        if let version = object["v"], version.integer != 1 { throw .version }
        switch (object["state"], object["weight"]) {
        case (let state?, nil):
            guard state.string == InstanceRecord.State.draining.rawValue else { throw .state }
            word = .draining
        case (nil, let value?):
            guard let weight = value.integer, InstanceRecord.weights.contains(weight) else { throw .weight }
            word = .weight(weight)
        default: throw .field
        }
        by = try Self.text(object["by"])
        since = try Self.text(object["since"])
        until = try Self.text(object["until"])
    }

    /// The JSON without white space; the same record gives the same bytes.
    package func encoded() -> [UInt8] { json.encoded() }

    package var json: JSONObject {
        var object: JSONObject = ["v": .integer(1)]
        switch word {
        case .draining: object["state"] = .string(InstanceRecord.State.draining.rawValue)
        case .weight(let weight): object["weight"] = .integer(weight)
        }
        object["by"] = by.map(JSONValue.string)
        object["since"] = since.map(JSONValue.string)
        object["until"] = until.map(JSONValue.string)
        return object
    }

    private static func text(_ value: JSONValue?) throws(SkipReason) -> String? {
        guard let value, value != .null else { return nil }
        guard let text = value.string else { throw .field }
        return text
    }
}

extension KeyLayout {
    /// Every operator's word.
    package var overridesRange: RegistryRange { .prefix("\(prefix)-overrides/") }

    /// Where an operator's word about an instance stands, or, for `*`, about those of a service.
    package func overrideKey(service: ServiceName, instance: String) -> String {
        "\(prefix)-overrides/\(service)/\(instance)"
    }

    /// - Returns: what a word is about, of its key; nil for any other key.
    package func parseOverride(_ key: String) -> (service: ServiceName, instance: String)? {
        guard let rest = Self.remainder(of: key, below: "\(prefix)-overrides/"),
            let (head, instance) = Self.splitLast(rest),
            let service = ServiceName(head)
        else { return nil }
        return (service, String(instance))
    }
}
