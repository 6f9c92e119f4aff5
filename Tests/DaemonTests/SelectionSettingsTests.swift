// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Discovery
import ServiceModel
import Testing

/// `--select`, `--prefer` and `--instance-connections`, as an operator writes them.
@Suite struct SelectionSettingsTests {
    private func proxy(_ flags: [SettingName: [String]]) throws(UsageError) -> ProxyConfiguration {
        try ProxyConfiguration(
            arguments: ["a:1", "b:2", "zone:3"], settings: SettingValues(flags: flags, environment: [:]))
    }

    private func selection(
        of service: String, _ flags: [SettingName: [String]]
    ) throws(UsageError) -> Selection {
        try proxy(flags).selections.first { $0.key.description == service }?.value ?? Selection()
    }

    @Test func nothingIsLeftOutUnlessToldSo() throws {
        #expect(try proxy([:]).selections.isEmpty && proxy([:]).instanceConnections.isEmpty)
    }

    @Test func everyKindOfTraitIsRead() throws {
        let texts = ["node=hostA", "zone!=eu", "tag=a.b", "meta.version=7.0", "meta.x!=a=b"]
        #expect(
            try selection(of: "a", [.select: texts]).filters == [
                Trait(.node("hostA")), Trait(.zone("eu"), isNegated: true), Trait(.tag("a.b")),
                Trait(.meta(name: "version", text: "7.0")), Trait(.meta(name: "x", text: "a=b"), isNegated: true),
            ])
    }

    @Test func whatIsNearIsFoundByNodeAndZone() throws {
        let flags: [SettingName: [String]] = [
            .prefer: ["same-node,same-zone"], .node: ["hostA"], .zone: ["eu"],
        ]
        #expect(try selection(of: "a", flags).preferences == [Trait(.node("hostA")), Trait(.zone("eu"))])
    }

    @Test func aServicesOwnListGoesInsteadOfTheGeneral() throws {
        let flags: [SettingName: [String]] = [.prefer: ["zone=eu", "b=tag=x", "zone=us", "b=zone=us"]]
        #expect(try selection(of: "a", flags).preferences == [Trait(.zone("eu")), Trait(.zone("us"))])
        #expect(try selection(of: "b", flags).preferences == [Trait(.tag("x")), Trait(.zone("us"))])
        // Not the service of that name, unless it is said twice.
        #expect(try selection(of: "zone", flags).preferences == [Trait(.zone("eu")), Trait(.zone("us"))])
        #expect(try selection(of: "zone", [.prefer: ["zone=zone=eu"]]).preferences == [Trait(.zone("eu"))])
    }

    @Test(arguments: ["", "eu", "rack=1", "zone=", "meta.=1", "c=zone=eu", "tag", "same-rack", "same-zone", "=eu"])
    func refusesWhatIsNoTrait(text: String) throws {
        for name in [SettingName.select, .prefer] {
            let error = try #require(throws: UsageError.self) { try proxy([name: [text]]) }
            #expect("\(error)".contains(Setting.named(name).flag))
        }
    }

    @Test func aServiceHasRoomForAFewPreferences() throws {
        let many = (0..<16).map { "tag=t\($0)" }
        #expect(try selection(of: "a", [.prefer: Array(many.dropLast())]).preferences.count == 15)
        #expect(throws: UsageError.self) { try proxy([.prefer: many]) }
        #expect(throws: UsageError.self) { try proxy([.prefer: many.map { "a=" + $0 }]) }
    }

    @Test func connectionsOfAnInstanceAreCountedByService() throws {
        let limits = try proxy([.instanceConnections: ["b=7", "100"]]).instanceConnections
        let byName = limits.sorted { $0.key.description < $1.key.description }.map(\.value)
        #expect(byName == [100, 7, 100])
        for text in ["0", "-1", "many", "1000001", "c=1"] {
            #expect(throws: UsageError.self) { try proxy([.instanceConnections: [text]]) }
        }
    }
}
