// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon

struct DrainCommand: LegationCommand {
    static let name = CommandName.drain
    static let configuration = CommandConfiguration(name)

    @OptionGroup var override: OverrideFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(
        help: ArgumentHelp("The service, and its instance; none or * for all.", valueName: "SERVICE [INSTANCE]"))
    var words: [String] = []

    var groups: [any FlagGroup] { [override, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> OverrideConfiguration {
        try OverrideConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: OverrideConfiguration) async -> Int32 {
        await OverrideWriter.run(name, configuration)
    }
}

struct WeightCommand: LegationCommand {
    static let name = CommandName.weight
    static let configuration = CommandConfiguration(name)

    @OptionGroup var override: OverrideFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(
        help: ArgumentHelp(
            "The service, its instance (none or * for all), and 0 to 1000.", valueName: "SERVICE [INSTANCE] WEIGHT"))
    var words: [String] = []

    var groups: [any FlagGroup] { [override, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> OverrideConfiguration {
        try OverrideConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: OverrideConfiguration) async -> Int32 {
        await OverrideWriter.run(name, configuration)
    }
}

struct UndoCommand: LegationCommand {
    static let name = CommandName.undo
    static let configuration = CommandConfiguration(name)

    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(
        help: ArgumentHelp("The service, and its instance or none, as it was said.", valueName: "SERVICE [INSTANCE]"))
    var words: [String] = []

    var groups: [any FlagGroup] { [etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> OverrideConfiguration {
        try OverrideConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: OverrideConfiguration) async -> Int32 {
        await OverrideWriter.run(name, configuration)
    }
}
