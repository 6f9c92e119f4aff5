// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon

/// The command line's root: `legation SUBCOMMAND`.
@main
struct Legation: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "legation",
        abstract: "Dynamic ambassadors for containers: reach a service by a fixed local address, wherever it runs.",
        discussion: """
            Instances are published in etcd (register), and reached through local listeners that follow every change \
            (proxy) or carry to a fixed target (forward).
            """,
        version: Version.text,
        subcommands: [
            RegisterCommand.self, ForwardCommand.self, ProxyCommand.self, ServicesCommand.self, NodesCommand.self,
            CheckEtcdCommand.self,
        ]
    )
}
