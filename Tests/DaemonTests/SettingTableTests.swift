// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Etcd
import Testing

@Suite struct SettingTableTests {
    @Test func hasOneRowForEachName() {
        let rows = Setting.table.map(\.name.rawValue).sorted()
        let names = SettingName.allCases.map(\.rawValue).sorted()
        #expect(rows == names)
    }

    @Test(arguments: Setting.table.map(\.name))
    func saysEverythingOfAFlag(name: SettingName) {
        let setting = Setting.named(name)
        #expect(setting.flag == "--\(name.rawValue)")
        #expect(setting.variable.hasPrefix("LEGATION_"))
        #expect(setting.variable.dropFirst(9).allSatisfy { $0.isUppercase || $0 == "_" })
        for text in [setting.unit, setting.defaultText, setting.allowedForm, setting.sentence] {
            #expect(!text.isEmpty)
        }
        #expect(setting.sentence.hasSuffix("."))
        #expect(!setting.commands.isEmpty)
        for part in [setting.variable, setting.defaultText, setting.unit] { #expect(setting.help.contains(part)) }
    }

    @Test func neverMeetsTheVariablesOfALinkCalledLegation() {
        let variables = Setting.table.flatMap(\.variables)
        #expect(Set(variables).count == variables.count)
        for variable in variables {
            #expect(!variable.hasPrefix("LEGATION_PORT"))
            #expect(variable != "LEGATION_NAME")
            #expect(!variable.hasPrefix("LEGATION_ENV_"))
        }
    }

    @Test func givesEveryCommandALogLevelAndThoseWithEtcdAWayToIt() {
        for command in CommandName.allCases {
            let names = Set(Setting.all(of: command).map(\.name))
            #expect(names.contains(.logLevel))
            let way: Set<SettingName> = [
                .etcd, .etcdCA, .etcdCert, .etcdKey, .etcdUser, .etcdPasswordFile, .requireTLS, .prefix, .layout,
            ]
            #expect(names.intersection(way) == (command == .forward ? [] : way))
        }
    }
}

@Suite struct SettingValuesTests {
    private func values(
        _ flags: [SettingName: [String]] = [:], _ environment: [String: String] = [:]
    ) -> SettingValues {
        SettingValues(flags: flags, environment: environment)
    }

    @Test func takesTheFlagBeforeTheEnvironmentBeforeTheDefault() throws {
        let environment = ["LEGATION_HOLD": "20s"]
        let range = Duration.zero ... .seconds(100)
        #expect(try values([.hold: ["5s"]], environment).duration(.hold, in: range) == .seconds(5))
        #expect(try values([:], environment).duration(.hold, in: range) == .seconds(20))
        #expect(try values().duration(.hold, in: range) == nil)
    }

    @Test func asksOurVariableBeforeThoseOfOthers() throws {
        let both = ["LEGATION_ETCD": "http://a:1", "ETCDCTL_ENDPOINTS": "http://b:1,http://c:1"]
        #expect(try values([:], both).given(.etcd).map(\.text) == ["http://a:1"])
        let others = try values([:], ["ETCDCTL_ENDPOINTS": "http://b:1,http://c:1"]).given(.etcd)
        #expect(others.map(\.text) == ["http://b:1", "http://c:1"])
        #expect(others.map(\.key) == ["ETCDCTL_ENDPOINTS", "ETCDCTL_ENDPOINTS"])
        #expect(try EtcdAccess(settings: values([:], both)).endpoints.map(\.description) == ["http://a:1"])
        #expect(try EtcdAccess(settings: values()).endpoints.isEmpty, "to be found")
    }

    @Test func takesAnEmptyVariableForNone() throws {
        #expect(try values([:], ["LEGATION_HOLD": ""]).given(.hold).isEmpty)
    }

    @Test func splitsListsByCommasAndJoinsRepetitions() throws {
        #expect(
            try values([.allowTarget: ["10.0.0.0/8", "a=1.2.3.4,5.6.7.8"]]).given(.allowTarget).map(\.text)
                == ["10.0.0.0/8", "a=1.2.3.4", "5.6.7.8"])
        #expect(throws: UsageError.self) { try values([:], ["LEGATION_ETCD": "http://a:1,,http://b:1"]).given(.etcd) }
    }

    @Test func refusesASingleValueGivenTwice() {
        #expect(throws: UsageError("--ttl", value: "5s 6s", allowed: "one value, \(Setting.named(.ttl).allowedForm)")) {
            try values([.ttl: ["5s", "6s"]]).given(.ttl)
        }
    }

    @Test(arguments: [("true", true), ("1", true), ("YES", true), ("false", false), ("0", false), ("no", false)])
    func readsTogglesInTheEnvironment(text: String, isOn: Bool) throws {
        #expect(try values([:], ["LEGATION_JSON": text]).isOn(.json) == isOn)
    }

    @Test func refusesAToggleThatIsNeitherTrueNorFalse() {
        #expect(throws: UsageError("LEGATION_JSON", value: "maybe", allowed: "true or false")) {
            try values([:], ["LEGATION_JSON": "maybe"]).isOn(.json)
        }
    }

    @Test func wantsACertificateAndItsKeyTogether() throws {
        let file = "/proc/self/status"
        #expect(throws: UsageError(missing: "--etcd-key", allowed: Setting.named(.etcdKey).allowedForm)) {
            try EtcdAccess(settings: values([.etcdCert: [file]]))
        }
        let tls = try EtcdAccess(settings: values([.etcdCert: [file]], ["ETCDCTL_KEY": file])).tls
        #expect(tls?.certificateFile == file)
        #expect(tls?.privateKeyFile == file)
    }
}

@Suite struct DurationTextTests {
    @Test(arguments: [
        ("500ms", Duration.milliseconds(500)), ("2s", .seconds(2)), ("2", .seconds(2)), ("0", .zero),
        ("3m", .seconds(180)),
        ("1h", .seconds(3600)), ("9999999999", .seconds(9_999_999_999)),
    ])
    func readsNumbersWithUnits(text: String, duration: Duration) {
        #expect(DurationText.parse(text) == duration)
    }

    @Test(arguments: ["", "s", "-1s", "+1s", "1.5s", "1 s", "1d", "1S", "1ms2", "10000000000", "٣s", "1s "])
    func refusesEverythingElse(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(arguments: ["500ms", "2s", "1500ms", "0s"])
    func writesWhatItReads(text: String) {
        #expect(DurationText.parse(text).map(DurationText.format) == text)
    }
}
