// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

/// The file that a proxy starts with when the registry does not answer.
@Suite struct LastGoodTests {
    private let redis: ServiceName
    private let web: ServiceName

    init() throws {
        redis = try #require(ServiceName("redis"))
        web = try #require(ServiceName("shop/web"))
    }

    private func origin(prefix: String = "/services", endpoints: [String] = ["http://a:2379", "http://b:2379"])
        -> LastGood.Origin
    { LastGood.Origin(prefix: prefix, endpoints: endpoints, services: [redis, web]) }

    private func entry(_ name: String, _ endpoint: String) throws -> LastGood.Entry {
        var record = InstanceRecord(endpoint: try #require(Endpoint(endpoint)))
        record.weight = 7
        record.tags = ["é", "\"\\\u{1}"]
        record.state = .draining
        return LastGood.Entry(key: "/services/redis/\(name)", record: record)
    }

    private func file() throws -> LastGood {
        LastGood(
            origin: origin(), savedAt: "2026-11-22T11:00:00Z", revision: 7,
            services: [redis: [try entry("a", "10.0.0.1:6379"), try entry("b", "[fd00::1]:6379")], web: []])
    }

    @Test func isReadAsItWasWritten() throws {
        let file = try file()
        #expect(try LastGood(decoding: file.encoded(), for: origin()) == file)
        let turned = LastGood.Origin(
            prefix: "/services", endpoints: ["http://b:2379", "http://a:2379"], services: [web, redis])
        #expect(turned == origin() && turned.fileName == origin().fileName)
    }

    @Test func keepsWhatOperatorsSay() throws {
        let until = "2026-11-22T12:00:00Z"
        let words = [
            LastGood.Word(
                instance: "*", record: OverrideRecord(.weight(3), by: nil, since: nil, until: nil)),
            LastGood.Word(
                instance: "a/\u{e9}", record: OverrideRecord(.draining, by: "alice", since: nil, until: until)),
        ]
        let plain = try file()
        let file = LastGood(
            origin: plain.origin, savedAt: plain.savedAt, revision: 7, services: plain.services, words: [redis: words])
        #expect(try LastGood(decoding: file.encoded(), for: origin()) == file)
        #expect(try LastGood(decoding: plain.encoded(), for: origin()).words.isEmpty, "as files from before")
    }

    @Test func isNamedAfterItsOrigin() {
        let name = origin().fileName
        #expect(name.utf8.count == 21 && name.hasSuffix(".json"))
        #expect(Set([name, origin(prefix: "/s").fileName, origin(endpoints: []).fileName]).count == 3)
    }

    /// One flipped bit anywhere is noticed; where the file ends early too.
    @Test func refusesWhatIsNotWhole() throws {
        let bytes = try file().encoded()
        for index in stride(from: 0, to: bytes.count, by: 7) {
            var broken = bytes
            broken[index] ^= 1
            #expect(throws: LastGood.Refusal.self) { try LastGood(decoding: broken, for: origin()) }
        }
        #expect(throws: LastGood.Refusal.form) { try LastGood(decoding: Array(bytes.dropLast()), for: origin()) }
        #expect(throws: LastGood.Refusal.form) { try LastGood(decoding: [], for: origin()) }
    }

    @Test func refusesWhatIsNotItsOwn() throws {
        let bytes = try file().encoded()
        #expect(throws: LastGood.Refusal.origin) { try LastGood(decoding: bytes, for: origin(prefix: "/other")) }
        #expect(throws: LastGood.Refusal.origin) { try LastGood(decoding: bytes, for: origin(endpoints: [])) }
        let newer = String(decoding: bytes, as: UTF8.self)
            .replacing(#"{"v":1,"checksum""#, with: #"{"v":2,"checksum""#)
        #expect(throws: LastGood.Refusal.version) { try LastGood(decoding: Array(newer.utf8), for: origin()) }
    }
}
