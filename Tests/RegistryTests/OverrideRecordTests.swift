// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

/// An operator's word as it stands in the registry.
@Suite struct OverrideRecordTests {
    private func decode(_ text: String) throws(SkipReason) -> OverrideRecord {
        try OverrideRecord(decoding: Array(text.utf8))
    }

    @Test func isReadAsItWasWritten() throws {
        for word in [OverrideRecord.Word.draining, .weight(0), .weight(1000)] {
            let record = OverrideRecord(word, by: "alice@host", since: "2026-11-22T11:00:00Z", until: nil)
            #expect(try OverrideRecord(decoding: record.encoded()) == record)
        }
        let hand = try decode(#"{"state":"draining"}"#)
        #expect(hand == OverrideRecord(.draining, by: nil, since: nil, until: nil))
        let text = String(
            decoding: OverrideRecord(.weight(7), by: "a", since: "s", until: "u").encoded(), as: UTF8.self)
        #expect(text == #"{"v":1,"weight":7,"by":"a","since":"s","until":"u"}"#)
    }

    @Test(arguments: [
        ("{}", SkipReason.field), (#"{"state":"draining","weight":1}"#, .field), (#"{"state":"up"}"#, .state),
        (#"{"weight":1001}"#, .weight), (#"{"weight":"1"}"#, .weight), (#"{"v":2,"weight":1}"#, .version),
        (#"{"weight":1,"by":1}"#, .field), ("draining", .json),
    ])
    func saysWhyItIsOfNoUse(value: String, reason: SkipReason) {
        #expect(throws: reason) { try decode(value) }
    }

    @Test func standsBesideTheServices() throws {
        let layout = KeyLayout.standard
        let service = try #require(ServiceName("shop/web"))
        let key = layout.overrideKey(service: service, instance: "hostA:web:80")
        #expect(key == "/services-overrides/shop/web/hostA:web:80" && layout.overridesRange.contains(key))
        let place = try #require(layout.parseOverride(key))
        #expect(place.service == service && place.instance == "hostA:web:80")
        #expect(layout.parseOverride("/services/shop/web/x") == nil && layout.parse(key) == nil)
    }
}
