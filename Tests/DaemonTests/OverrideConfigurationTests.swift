// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Registry
import Testing

@Suite struct OverrideConfigurationTests {
    @Test(arguments: [
        (CommandName.drain, ["web"], "*"), (.drain, ["web", "*"], "*"), (.drain, ["web", "a"], "a"),
        (.weight, ["web", "7"], "*"), (.weight, ["web", "5", "7"], "5"), (.undo, ["web"], "*"),
        (.undo, ["web", "a"], "a"),
    ])
    func withoutAnInstanceAllAreMeant(_ command: CommandName, _ arguments: [String], _ instance: String) throws {
        let configuration = try OverrideConfiguration(
            command, arguments: arguments, settings: SettingValues(flags: [:], environment: [:]))
        #expect(configuration.service.description == "web" && configuration.instance == instance)
        let word: OverrideRecord.Word? = [.drain: .draining, .weight: .weight(7)][command]
        #expect(configuration.word == word)
    }
}
