// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Testing

/// Which instances a link uses, and which before the others.
@Suite struct SelectionTests {
    /// What a registrator would write.
    private func value(
        _ number: Int, node: String? = nil, zone: String? = nil, tags: [String] = [], meta: JSONObject = [:],
        weight: Int = 100, priority: Int = 0
    ) -> [UInt8] {
        var record = InstanceRecord(endpoint: TableHarness.endpoint(number))
        (record.node, record.zone, record.tags, record.meta) = (node, zone, tags, meta)
        (record.weight, record.priority) = (weight, priority)
        return record.encoded()
    }

    /// Priorities, as the relay is given them, by number of the instance.
    private func priorities(_ harness: inout TableHarness) -> [Int: Int] {
        Dictionary(
            uniqueKeysWithValues: harness.instances().compactMap { instance in
                instance.endpoint?.address.v4.map { (Int($0 & 0xff), instance.priority) }
            })
    }

    @Test func allFiltersMustBeTrue() throws {
        let filters = [Trait(.tag("primary")), Trait(.zone("eu")), Trait(.node("hostC"), isNegated: true)]
        var harness = try TableHarness(selection: Selection(filters: filters))
        harness.put("1", value(1, node: "hostA", zone: "eu", tags: ["primary", "ssd"]))
        harness.put("2", value(2, node: "hostA", zone: "us", tags: ["primary"]))
        harness.put("3", value(3, node: "hostA", zone: "eu"))
        harness.put("4", value(4, node: "hostC", zone: "eu", tags: ["primary"]))
        harness.put("5", value(5, zone: "eu", tags: ["primary"]))
        #expect(harness.used == [1, 5])
        // What an instance says of itself may change: at once, as somebody has written it.
        harness.put("1", value(1, node: "hostA", zone: "eu"))
        harness.put("3", value(3, node: "hostA", zone: "eu", tags: ["primary"]))
        #expect(harness.used == [3, 5])
    }

    @Test(arguments: [
        (JSONValue.string("7.0"), true), (.number("7.0"), true), (.string("7"), false), (.number("7"), false),
        (.null, false), (.array([.string("7.0")]), false),
    ])
    func metaIsComparedAsText(_ meta: JSONValue, isUsed: Bool) throws {
        let trait = Trait.Kind.meta(name: "version", text: "7.0")
        var harness = try TableHarness(selection: Selection(filters: [Trait(trait)]))
        harness.put("1", value(1, meta: ["version": meta]))
        #expect(harness.used == (isUsed ? [1] : []))
        var others = try TableHarness(selection: Selection(filters: [Trait(trait, isNegated: true)]))
        others.put("1", value(1, meta: ["version": meta]))
        #expect(others.used == (isUsed ? [] : [1]))
    }

    /// Programs that know no zone call it so in what they let their users say.
    @Test func aZoneIsAlsoWhatMetadataCallsSo() throws {
        var harness = try TableHarness(selection: Selection(filters: [Trait(.zone("eu"))]))
        harness.put("1", value(1, meta: ["zone": .string("eu")]))
        harness.put("2", value(2, zone: "us", meta: ["zone": .string("eu")]))
        harness.put("3", Array(#"{"Op":0,"Addr":"10.0.0.3:6379","Metadata":{"zone":"eu"}}"#.utf8))
        #expect(harness.used == [1, 3])
    }

    @Test func whoIsNotWantedIsNoMemberWhenTheServiceIsCounted() throws {
        var harness = try TableHarness(selection: Selection(filters: [Trait(.tag("a"))]))
        for number in 1...3 {
            harness.accepting.insert(TableHarness.endpoint(number))
            let lease = RegistryLease(Int64(number))
            harness.put("\(number)", value(number, tags: number == 1 ? ["a"] : []), lease: lease)
        }
        #expect(harness.used == [1])
        // The last one that is wanted: held, as of a service of one.
        harness.expire(1)
        harness.answer()
        #expect(harness.used == [1] && harness.names(.held) == ["1"])
        harness.expire(2)
        harness.answer()
        #expect(harness.names(.held) == ["1"], "nobody asks about the others")
    }

    @Test func preferencesRankWithinAPriority() throws {
        let preferences = [Trait(.node("here")), Trait(.zone("eu"))]
        var harness = try TableHarness(selection: Selection(preferences: preferences))
        harness.put("1", value(1, node: "there", zone: "us"))
        harness.put("2", value(2, node: "there", zone: "eu"))
        harness.put("3", value(3, node: "here", zone: "us"))
        harness.put("4", value(4, node: "here", zone: "eu", priority: 1))
        harness.put("5", value(5, node: "there", zone: "us", priority: -1))
        let priorities = priorities(&harness)
        let order = priorities.sorted { $0.value < $1.value }.map(\.key)
        #expect(order == [5, 3, 2, 1, 4])
    }

    @Test(arguments: [Int.max, Int.min, 1 << 53]) func anyPriorityHasItsPlace(priority: Int) throws {
        var harness = try TableHarness(selection: Selection(preferences: [Trait(.tag("a"))]))
        harness.put("1", value(1, priority: priority))
        harness.put("2", value(2, tags: ["a"], priority: priority))
        harness.put("3", value(3))
        let priorities = priorities(&harness)
        let (plain, preferred, other) = (priorities[1] ?? 0, priorities[2] ?? 0, priorities[3] ?? 0)
        #expect(preferred < plain)
        #expect((plain < other) == (priority < 0))
    }

    @Test func aWeightThatChangesIsTheSameInstance() throws {
        var harness = try TableHarness()
        harness.put("1", value(1, weight: 10))
        let id = harness.id(of: 1)
        harness.put("1", value(1, weight: 500))
        #expect(harness.id(of: 1) == id && harness.instances().map(\.weight) == [500])
    }

    /// What is asked about outlives the process with the instance.
    @Test func whatIsKnownLastIsSelectedByTheSame() throws {
        let selection = Selection(
            filters: [Trait(.meta(name: "v", text: "2"))], preferences: [Trait(.zone("eu")), Trait(.tag("ssd"))])
        var before = try TableHarness(selection: selection)
        before.put("1", value(1, zone: "us", tags: ["ssd"], meta: ["v": .integer(2), "x": .integer(1)]))
        before.put("2", value(2, zone: "eu", meta: ["v": .string("2")]))
        before.put("3", value(3, zone: "eu"))
        var after = try TableHarness(selection: selection, isListed: false)
        after.restore(before.table.lastGood())
        #expect(after.used == [1, 2])
        #expect(priorities(&after) == priorities(&before))
    }
}
