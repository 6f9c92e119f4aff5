// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Discovery
import ServiceModel
import Testing

/// `--on-loss` and `--on-empty`: for one link, or for those without a word of their own.
@Suite struct AbsenceSettingsTests {
    private func absences(
        _ flags: [SettingName: [String]]
    ) throws(UsageError) -> [String: AbsencePolicy] {
        let configuration = try ProxyConfiguration(
            arguments: ["a:1", "b:2", "a:3"], settings: SettingValues(flags: flags, environment: [:]))
        return Dictionary(uniqueKeysWithValues: configuration.absences.map { ($0.key.description, $0.value) })
    }

    @Test func keepAndRefuseUnlessToldOtherwise() throws {
        #expect(try absences([:]) == ["a": AbsencePolicy(), "b": AbsencePolicy()])
        #expect(AbsencePolicy() == AbsencePolicy(onLoss: .keep, onEmpty: .refuse))
    }

    @Test func oneOfItsOwnGoesBeforeTheGeneral() throws {
        let all = try absences([
            .onLoss: ["drop-after:30s", "b=fail"], .onEmpty: ["b=fallback:[fd00::1]:5432", "keep"],
        ])
        let other = try #require(Endpoint("[fd00::1]:5432"))
        #expect(all["a"] == AbsencePolicy(onLoss: .drop(after: .seconds(30)), onEmpty: .keep))
        #expect(all["b"] == AbsencePolicy(onLoss: .drop(after: .seconds(1)), onEmpty: .fallback(other)))
    }

    @Test(arguments: [["keep", "fail"], ["a=keep", "a=fail"], ["c=keep"]])
    func saysItOnceAndOfALinkedService(texts: [String]) {
        #expect(throws: UsageError.self) { try absences([.onLoss: texts]) }
    }
}
