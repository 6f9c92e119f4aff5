// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ArgumentParser
import Daemon
import Registry
import Testing

@testable import legation

@Suite struct CommandLineTests {
    private static let commands: [any LegationCommand.Type] = [
        RegisterCommand.self, ForwardCommand.self, ProxyCommand.self, ServicesCommand.self, NodesCommand.self,
        DrainCommand.self, WeightCommand.self, UndoCommand.self, CheckEtcdCommand.self,
    ]

    private static func type(of name: CommandName) throws -> any LegationCommand.Type {
        try #require(commands.first { $0.name == name })
    }

    /// One line a flag: wide enough never to be wrapped.
    private static func help(of name: CommandName) throws -> String {
        Legation.helpMessage(for: try type(of: name), columns: 10_000)
    }

    @Test(arguments: CommandName.allCases)
    func declaresExactlyTheFlagsOfTheTable(name: CommandName) throws {
        let command = try #require(try Legation.parseAsRoot([name.rawValue]) as? any LegationCommand)
        let declared = Set(command.groups.flatMap { $0.given.keys })
        #expect(declared == Set(Setting.all(of: name).map(\.name)))
    }

    @Test(arguments: CommandName.allCases)
    func showsSynopsisParagraphFlagsAndExamplesInItsHelp(name: CommandName) throws {
        let help = try Self.help(of: name)
        let text = CommandHelp.help(of: name)
        for line in CommandHelp.synopsis(of: name).split(separator: "\n") { #expect(help.contains(line)) }
        #expect(help.contains(text.abstract))
        #expect(help.contains(text.paragraph))
        #expect(text.examples.count >= 2)
        for example in text.examples { #expect(help.contains("\n  \(example)\n")) }
        for setting in Setting.all(of: name) {
            #expect(help.split(separator: "\n").contains { $0.contains("  \(setting.flag) ") }, "\(setting.flag)")
            #expect(help.contains(setting.help), "\(setting.flag)")
        }
    }

    /// The help wraps at 80 columns when it does not know better, and a wrapped example is no command line.
    @Test(arguments: CommandName.allCases)
    func keepsExamplesOnOneLine(name: CommandName) throws {
        let help = Legation.helpMessage(for: try Self.type(of: name), columns: 80)
        for example in CommandHelp.help(of: name).examples { #expect(help.contains("\n  \(example)\n")) }
    }

    @Test(arguments: CommandName.allCases)
    func acceptsItsOwnExamples(name: CommandName) throws {
        for example in CommandHelp.help(of: name).examples {
            let words = example.split(separator: " ").map(String.init)
            #expect(words.first == "legation")
            #expect(words.dropFirst().first == name.rawValue)
            let parsed = try Legation.parseAsRoot(Array(words.dropFirst()))
            let command = try #require(parsed as? any LegationCommand)
            #expect(throws: Never.self, "\(example)") { try plan(command) }
        }
    }

    private func plan(_ command: some LegationCommand) throws { _ = try command.plan(environment: [:]) }

    @Test(arguments: [["proxy", "--no-such-flag"], ["bogus"], ["proxy", "--hold"]])
    func exitsWith64WhenAFlagOrCommandIsUnknown(words: [String]) {
        let error = #expect(throws: (any Error).self) { try Legation.parseAsRoot(words) }
        if let error { #expect(Legation.exitCode(for: error).rawValue == UsageError.exitStatus) }
    }

    @Test func passesFlagsOnToThePlan() throws {
        let words = [
            "proxy", "--hold=5s", "--allow-target", "1.1.1.1", "--allow-target", "pg=2.2.2.2", "--start-empty", "pg:0",
        ]
        let command = try #require(try Legation.parseAsRoot(words) as? ProxyCommand)
        let plan = try command.plan(environment: ["LEGATION_HOLD": "7s", "LEGATION_BIND": "127.0.0.1"])
        #expect(plan.hold == .seconds(5))
        #expect(plan.targetRules.map(\.description) == ["1.1.1.1/32", "pg=2.2.2.2/32"])
        #expect(plan.startsEmpty)
        #expect(plan.links.map(\.listen.description) == ["127.0.0.1:0"])
    }

    @Test func namesNumberAndCommitAsItsVersion() {
        #expect(Version.text.hasPrefix("legation \(Version.number) ("))
        #expect(Version.text.hasSuffix(")"))
        #expect(Legation.configuration.version == Version.text)
    }
}
