// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Testing

/// What is said of each instance, beside what is done with it.
@Suite struct VerdictTests {
    private func verdicts(_ harness: TableHarness) -> [String: Verdict] {
        Dictionary(
            uniqueKeysWithValues: harness.table.report(now: harness.now).instances.map {
                (String($0.key.dropFirst(TableHarness.key("").count)), $0.verdict)
            })
    }

    private func value(_ number: Int, _ more: String) -> [UInt8] {
        Array(#"{"host":"10.0.0.\#(number)","port":6379\#(more)}"#.utf8)
    }

    @Test func everyKindIsToldAndMeansWhatIsDone() throws {
        var harness = try TableHarness(selection: Selection(filters: [Trait(.tag("no"), isNegated: true)]))
        harness.put("1", value(1, ""))
        harness.put("2", value(2, #","state":"draining""#))
        harness.put("3", value(3, #","weight":0"#))
        harness.put("4", value(4, #","tags":["no"]"#))
        harness.put("5", value(5, ""))
        harness.put("6", value(6, ""))
        harness.put("7", value(7, #","priority":3"#))
        let drain = OverrideRecord(.draining, by: "alice", since: nil, until: nil)
        let weigh = OverrideRecord(.weight(0), by: "alice", since: nil, until: nil)
        harness.say([
            "5": EndpointTable.Override(drain, until: nil), "6": EndpointTable.Override(weigh, until: nil),
        ])
        let verdicts = verdicts(harness)
        #expect(
            verdicts == [
                "1": .used, "2": .draining, "3": .weightZero, "4": .notSelected, "5": .drained, "6": .weightZero,
                "7": .spare,
            ])
        #expect(harness.used == verdicts.filter(\.value.isUsed).keys.compactMap { Int($0) }.sorted())
    }

    @Test func whatIsHeldIsUsed() throws {
        var harness = try TableHarness()
        harness.putUp(1)
        harness.expire(1)
        #expect(verdicts(harness) == ["1": .leaving])
        harness.answer()
        #expect(verdicts(harness) == ["1": .held] && harness.used == [1])
    }

    /// An operator's word is named before the registrator's: it is the one that he can take back.
    @Test func theOperatorIsNamedFirst() throws {
        var harness = try TableHarness()
        harness.put("1", value(1, #","state":"draining","weight":0"#))
        let drain = OverrideRecord(.draining, by: nil, since: nil, until: nil)
        harness.say(["*": EndpointTable.Override(drain, until: nil)])
        #expect(verdicts(harness) == ["1": .drained])
    }

    @Test func reasonsAreStable() {
        #expect(
            Verdict.allCases.map(\.reason) == [
                nil, "held", "leaving", "spare", "draining", "drained", "weight-0", "not-selected",
            ])
    }
}
