// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

/// A program to be started: what a shell line would say.
package struct Command: Sendable, CustomStringConvertible {
    /// An absolute path, or a name that is looked up in PATH.
    package var executable: String
    package var arguments: [String]
    /// Added to the test's own environment, of which no `LEGATION_…`, `ETCD…` variable is passed on.
    package var environment: [String: String]
    /// Time between SIGTERM and SIGKILL at the end of the scope; zero kills at once.
    package var grace: Duration
    /// The network that the program enters.
    package var network: Network
    /// A process whose file systems the program sees; nil: ours.
    package var mountsOf: ProcessUnderTest?
    /// The group that the program runs as, by which a firewall tells it from others; nil: ours.
    package var group: Int?

    package init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:], grace: Duration = .zero,
        networkOf: ProcessUnderTest? = nil
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.grace = grace
        network = networkOf.map { .of($0) } ?? .own
    }

    package var description: String { ([executable] + arguments).joined(separator: " ") }

    /// The whole environment of the program.
    var wholeEnvironment: [String: String] {
        ProcessInfo.processInfo.environment
            .filter { name, _ in !name.hasPrefix("LEGATION_") && !name.hasPrefix("ETCD") }
            .merging(environment) { $1 }
            .merging([Reaper.variable: Reaper.value]) { $1 }
    }

    /// With what leads into another's network and file systems, and into the group, in front of the program; all of
    /// it becomes the program (exec), so that the process stays the one that was started.
    func resolved() throws -> (executable: String, arguments: [String]) {
        var entered: [String] = []
        if let path = try network.path { entered.append("--net=\(path)") }
        if let mountsOf { entered.append("--mount=/proc/\(try mountsOf.pid)/ns/mnt") }
        var words = entered.isEmpty ? [] : ["nsenter"] + entered
        if let group { words += ["setpriv", "--regid", "\(group)", "--clear-groups"] }
        words += [executable] + arguments
        return (words[0], Array(words.dropFirst()))
    }
}

/// How a program ended.
package enum ExitStatus: Hashable, Sendable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)

    package var description: String {
        switch self {
        case .code(let code): "exit \(code)"
        case .signal(let signal): "signal \(signal)"
        }
    }
}

/// What a program that ran to its end has said.
package struct Outcome: Sendable, CustomStringConvertible {
    package let command: Command
    package let status: ExitStatus
    package let output: String
    package let errors: String

    package var succeeded: Bool { status == .code(0) }

    package var description: String { "\(command): \(status)\n\(output)\(errors)" }
}
