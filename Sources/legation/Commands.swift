// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon

struct RegisterCommand: LegationCommand {
    static let name = CommandName.register
    static let configuration = CommandConfiguration(name)

    @OptionGroup var register: RegisterFlags
    @OptionGroup var place: PlaceFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(
        help: ArgumentHelp(
            "The container and its port, but not with --address; the service, then what to say of it. None with --labels.",
            valueName: "CONTAINER PORT SERVICE [KEY=VALUE...]"))
    var words: [String] = []

    var groups: [any FlagGroup] { [register, place, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> RegisterConfiguration {
        try RegisterConfiguration(arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: RegisterConfiguration) async -> Int32 {
        await RegisterDaemon.run(configuration)
    }
}

struct ForwardCommand: LegationCommand {
    static let name = CommandName.forward
    static let configuration = CommandConfiguration(name)

    @OptionGroup var forward: ForwardFlags
    @OptionGroup var relay: RelayFlags
    @OptionGroup var log: LogFlags
    @Argument(help: ArgumentHelp("HOST:PORT or unix:PATH, in the order of preference.", valueName: "TARGET"))
    var words: [String] = []

    var groups: [any FlagGroup] { [forward, relay, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> ForwardConfiguration {
        try ForwardConfiguration(arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: ForwardConfiguration) async -> Int32 {
        await ForwardDaemon.run(configuration)
    }
}

struct ProxyCommand: LegationCommand {
    static let name = CommandName.proxy
    static let configuration = CommandConfiguration(name)

    @OptionGroup var proxy: ProxyFlags
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var place: PlaceFlags
    @OptionGroup var targets: TargetFlags
    @OptionGroup var relay: RelayFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(
        help: ArgumentHelp(
            "The service and the port (or unix:PATH) that stands for it here.", valueName: "SERVICE PORT"))
    var words: [String] = []

    var groups: [any FlagGroup] { [proxy, selection, place, targets, relay, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> ProxyConfiguration {
        try ProxyConfiguration(arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: ProxyConfiguration) async -> Int32 {
        await ProxyDaemon.run(configuration)
    }
}

struct ServicesCommand: LegationCommand {
    static let name = CommandName.services
    static let configuration = CommandConfiguration(name)

    @OptionGroup var output: OutputFlags
    @OptionGroup var watch: WatchFlags
    @OptionGroup var selection: SelectionFlags
    @OptionGroup var place: PlaceFlags
    @OptionGroup var targets: TargetFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(help: ArgumentHelp("Only this service.", valueName: "SERVICE")) var words: [String] = []

    var groups: [any FlagGroup] { [output, watch, selection, place, targets, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> QueryConfiguration {
        try QueryConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: QueryConfiguration) async -> Int32 {
        await ServicesQuery.run(configuration)
    }
}

struct NodesCommand: LegationCommand {
    static let name = CommandName.nodes
    static let configuration = CommandConfiguration(name)

    @OptionGroup var output: OutputFlags
    @OptionGroup var watch: WatchFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(help: .hidden) var words: [String] = []

    var groups: [any FlagGroup] { [output, watch, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> QueryConfiguration {
        try QueryConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: QueryConfiguration) async -> Int32 {
        await NodesQuery.run(configuration)
    }
}

struct CheckEtcdCommand: LegationCommand {
    static let name = CommandName.checkEtcd
    static let configuration = CommandConfiguration(name)

    @OptionGroup var probe: ProbeFlags
    @OptionGroup var output: OutputFlags
    @OptionGroup var etcd: EtcdFlags
    @OptionGroup var log: LogFlags
    @Argument(help: .hidden) var words: [String] = []

    var groups: [any FlagGroup] { [probe, output, etcd, log] }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> QueryConfiguration {
        try QueryConfiguration(name, arguments: arguments, settings: settings)
    }

    static func carryOut(_ configuration: QueryConfiguration) async -> Int32 {
        await EtcdCheck.run(configuration)
    }
}
