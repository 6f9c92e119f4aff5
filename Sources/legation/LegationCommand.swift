// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon
private import Glibc

/// A subcommand: flags and arguments become a configuration, the configuration becomes a run of the process.
protocol LegationCommand: AsyncParsableCommand {
    associatedtype Configuration: Sendable

    static var name: CommandName { get }
    var groups: [any FlagGroup] { get }
    var words: [String] { get }

    static func configuration(
        arguments: [String], settings: SettingValues
    ) throws(UsageError) -> Configuration

    /// - Returns: the process's exit status.
    static func carryOut(_ configuration: Configuration) async -> Int32
}

extension LegationCommand {
    /// What this call asks for; touches nothing but the files that a flag names.
    func plan(environment: [String: String]) throws(UsageError) -> Configuration {
        var flags: [SettingName: [String]] = [:]
        for group in groups { flags.merge(group.given) { $1 } }
        let settings = SettingValues(flags: flags, environment: environment)
        return try Self.configuration(arguments: words, settings: settings)
    }

    func run() async throws {
        let configuration: Configuration
        do {
            configuration = try plan(environment: ProcessEnvironment.current())
        } catch {
            Console.complain("legation \(Self.name.rawValue): \(error)")
            throw ExitCode(UsageError.exitStatus)
        }
        let status = await Self.carryOut(configuration)
        if status != 0 { throw ExitCode(status) }
    }
}

extension CommandConfiguration {
    /// Everything that the help shows beside the flags.
    init(_ name: CommandName) {
        let help = CommandHelp.help(of: name)
        self.init(
            commandName: name.rawValue, abstract: help.abstract, usage: CommandHelp.synopsis(of: name),
            discussion: help.discussion)
    }
}
