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

    /// `nsenter` in front of the program when it is to run in another's network.
    func resolved() throws -> (executable: String, arguments: [String]) {
        guard let path = try network.path else { return (executable, arguments) }
        return ("nsenter", ["--net=\(path)", executable] + arguments)
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
