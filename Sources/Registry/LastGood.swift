// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// What a reader knew last of its services, in the form in which it outlives the process: one JSON file.
///
/// `{"v":1,"checksum":"<16 hex digits>","content":{…}}`, the checksum (FNV-1a) over the content's own bytes: against
/// accidents, since a forger could write it as well. Records stand in our
/// own form, whoever wrote them, and pass every check again when they are read: the file opens nothing.
package struct LastGood: Sendable, Hashable {
    /// Which registry and which links a file is about; another's is never used.
    package struct Origin: Sendable, Hashable {
        package let prefix: String
        /// URLs as given.
        package let endpoints: [String]
        package let services: [ServiceName]

        /// The order in which endpoints and services were given does not matter.
        package init(prefix: String, endpoints: [String], services: [ServiceName]) {
            self.prefix = prefix
            self.endpoints = endpoints.sorted()
            self.services = services.sorted()
        }

        /// `<hash>.json`: processes with other links, or of another registry, share a directory without meeting.
        package var fileName: String { json.encoded().fnv1a + ".json" }

        fileprivate var json: JSONObject {
            [
                "prefix": .string(prefix), "endpoints": .array(endpoints.map(JSONValue.string)),
                "services": .array(services.map { .string($0.description) }),
            ]
        }
    }

    /// Why a file is not used.
    package enum Refusal: Error, Sendable, Hashable, CustomStringConvertible {
        case tooLong
        case form
        case version
        case checksum
        case origin

        /// A sentence without a full stop.
        package var description: String {
            switch self {
            case .tooLong: "it is longer than \(LastGood.maximumLength >> 20) MiB"
            case .form: "it is not of the form that this program writes"
            case .version: "v is not a version that this program reads (1)"
            case .checksum: "its checksum is not that of its content"
            case .origin: "it is about another registry or other links"
            }
        }
    }

    package struct Entry: Sendable, Hashable {
        package let key: String
        package let record: InstanceRecord
        /// Whether the record's address is one of those of a name that stands in the registry.
        package let isOfName: Bool

        package init(key: String, record: InstanceRecord, isOfName: Bool = false) {
            self.key = key
            self.record = record
            self.isOfName = isOfName
        }
    }

    /// An operator's word as it stood, with its own end.
    package struct Word: Sendable, Hashable {
        /// As in the word's key; `*` for all.
        package let instance: String
        package let record: OverrideRecord

        package init(instance: String, record: OverrideRecord) {
            self.instance = instance
            self.record = record
        }
    }

    /// 50,000 instances (registry limits) of 512 bytes of key and 4 KiB of value would be more; real ones have 300 bytes.
    package static let maximumLength = 64 << 20
    /// The envelope, the content, services, a list, an entry, and a record below.
    private static let maximumDepth = 5 + InstanceRecord.maximumDepth

    package let origin: Origin
    /// RFC 3339.
    package let savedAt: String
    /// Newest revision of the registry that is in it.
    package let revision: Int64
    /// In key order; a service that is missing was never listed.
    package let services: [ServiceName: [Entry]]
    /// Operators' words about these services, in the order of their keys. A reader that does not know them skips
    /// them, so that the version stays.
    package let words: [ServiceName: [Word]]

    package init(
        origin: Origin, savedAt: String, revision: Int64, services: [ServiceName: [Entry]],
        words: [ServiceName: [Word]] = [:]
    ) {
        self.origin = origin
        self.savedAt = savedAt
        self.revision = revision
        self.services = services
        self.words = words
    }

    /// - Parameter origin: of the reader; a file of another's is refused.
    package init(decoding bytes: [UInt8], for origin: Origin) throws(Refusal) {
        guard bytes.count <= Self.maximumLength else { throw .tooLong }
        guard let file = try? JSONParser.object(bytes, maximumDepth: Self.maximumDepth) else { throw .form }
        guard file["v"]?.integer == 1 else { throw .version }
        guard case .object(let content) = file["content"], let checksum = file["checksum"]?.string else { throw .form }
        guard content.encoded().fnv1a == checksum else { throw .checksum }
        guard content["origin"] == .object(origin.json) else { throw .origin }
        guard let savedAt = content["saved"]?.string, let revision = content["revision"]?.integer,
            case .object(let lists) = content["entries"]
        else { throw .form }
        var words: [ServiceName: [Word]] = [:]
        if let value = content["words"] {
            guard case .object(let lists) = value else { throw .form }
            words = try Self.read(lists, Self.word)
        }
        self.init(
            origin: origin, savedAt: savedAt, revision: Int64(revision), services: try Self.read(lists, Self.entry),
            words: words)
    }

    package func encoded() -> [UInt8] {
        var lists = JSONObject()
        for (service, entries) in services.sorted(by: { $0.key < $1.key }) {
            lists[service.description] = .array(
                entries.map { entry in
                    var object: JSONObject = ["key": .string(entry.key), "record": .object(entry.record.json)]
                    if entry.isOfName { object["name"] = .bool(true) }
                    return .object(object)
                })
        }
        var content: JSONObject = [
            "origin": .object(origin.json), "saved": .string(savedAt), "revision": .integer(Int(revision)),
            "entries": .object(lists),
        ]
        if !words.isEmpty { content["words"] = .object(wordLists) }
        // Put together by hand: encoded once for the checksum, ten thousand entries need not be encoded again.
        let bytes = content.encoded()
        return Array(#"{"v":1,"checksum":"\#(bytes.fnv1a)","content":"#.utf8) + bytes + [UInt8(ascii: "}")]
    }

    private var wordLists: JSONObject {
        var lists = JSONObject()
        for (service, words) in words.sorted(by: { $0.key < $1.key }) {
            lists[service.description] = .array(
                words.map { .object(["instance": .string($0.instance), "word": .object($0.record.json)]) })
        }
        return lists
    }

    private static func read<Element>(
        _ lists: JSONObject, _ element: (JSONValue) throws(Refusal) -> Element
    ) throws(Refusal) -> [ServiceName: [Element]] {
        var services: [ServiceName: [Element]] = [:]
        for list in lists.members {
            guard let service = ServiceName(list.name), case .array(let values) = list.value else { throw .form }
            services[service] = try values.map { value throws(Refusal) in try element(value) }
        }
        return services
    }

    private static func word(_ value: JSONValue) throws(Refusal) -> Word {
        guard case .object(let word) = value, let instance = word["instance"]?.string,
            case .object(let json) = word["word"], let record = try? OverrideRecord(decoding: json.encoded())
        else { throw .form }
        return Word(instance: instance, record: record)
    }

    private static func entry(_ value: JSONValue) throws(Refusal) -> Entry {
        guard case .object(let entry) = value, let key = entry["key"]?.string, case .object(let json) = entry["record"],
            let record = try? InstanceRecord(json: json)
        else { throw .form }
        return Entry(key: key, record: record, isOfName: entry["name"] == .bool(true))
    }
}
