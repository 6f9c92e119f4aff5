// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import ArgumentParser
internal import Daemon
private import Glibc

@main
enum Program {
    /// Keeps the main thread to the end. An asynchronous main would let it go once it waits for the first time, and
    /// libdispatch then asks for an eventfd, and ends the process if at that moment there is no descriptor left.
    static func main() {
        Task.detached {
            await Legation.main()
            exit(EXIT_SUCCESS)
        }
        while true { pause() }
    }
}

/// The command line's root: `legation SUBCOMMAND`.
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
            DrainCommand.self, WeightCommand.self, UndoCommand.self, CheckEtcdCommand.self,
        ]
    )
}
