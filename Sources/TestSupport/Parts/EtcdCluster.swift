// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel

/// Three real etcds in a network of their own, by default on 127.0.0.1, 127.0.0.2 and 127.0.0.3, with ports and data
/// that outlive their restarts. Clients of the cluster run in that network too, in a group of their own, so that a
/// fault can be theirs alone: what a test does by hand always gets through.
package final class EtcdCluster: Sendable {
    package let members: [EtcdProcess]
    package let stage: Stage
    /// A process that holds the network, and the disks if those are limited.
    let holder: ProcessUnderTest

    init(members: [EtcdProcess], holder: ProcessUnderTest, stage: Stage) {
        self.members = members
        self.holder = holder
        self.stage = stage
    }

    /// What clusters run whose test names no version: 3.4.23, or what `LEGATION_ETCD_VERSION` says (`make slow`). Never
    /// 3.5.1, which can lose consistency when a member is killed; tests that kill none may name it.
    package static var version: EtcdProcess.Version {
        get throws {
            guard let name = ProcessInfo.processInfo.environment["LEGATION_ETCD_VERSION"] else { return .v3_4 }
            guard let version = EtcdProcess.Version(rawValue: name), version != .v3_5 else {
                throw MissingPart("LEGATION_ETCD_VERSION is \(name); clusters run 3.4.23 or 3.5.16")
            }
            return version
        }
    }

    /// Groups of processes, by which the firewall knows who has dialled: members in order, and their clients.
    enum Group {
        static let members = 4001...4003
        static let clients = 4008
    }

    package var network: Network { .of(holder) }

    /// As `--etcd` and `--endpoints` take them.
    package var endpoints: String { members.map(\.url).joined(separator: ",") }

    /// Of clients and members; nil: plaintext.
    package var certificates: Certificates? { members[0].certificates }

    /// The arguments by which a legation command finds it.
    package var arguments: [String] { ["--etcd", endpoints] + (certificates?.arguments ?? []) }

    package func others(than member: EtcdProcess) -> [EtcdProcess] { members.filter { $0 !== member } }

    // MARK: - Clients

    /// Starts a program among the cluster's clients.
    package func start(_ command: Command) async throws -> ProcessUnderTest {
        try await stage.start(ofClients(command))
    }

    private func ofClients(_ command: Command) -> Command {
        var command = command
        command.network = network
        command.group = Group.clients
        return command
    }

    /// Starts `legation COMMAND …` among the cluster's clients.
    package func legation(_ arguments: [String]) async throws -> ProcessUnderTest {
        try await start(LegationBinary.command(arguments))
    }

    /// Runs `legation COMMAND …` to its end among the cluster's clients.
    package func runLegation(_ arguments: [String], within limit: Duration = .seconds(20)) async throws -> Outcome {
        try await stage.run(ofClients(LegationBinary.command(arguments)), within: limit)
    }

    /// Starts `etcd-mirror` among the cluster's clients and waits for its first listing.
    /// - Parameters:
    ///   - endpoints: nil for all members.
    ///   - awaitListing: false returns at once.
    package func mirror(
        _ prefix: String, endpoints: String? = nil, _ more: [String] = [], awaitListing: Bool = true
    ) async throws -> MirrorProcess {
        let file = "\(try stage.directory())/mirror-\(UUID().uuidString)"
        let command = MirrorProcess.command(prefix, endpoints: endpoints ?? self.endpoints, file: file, more)
        return try await MirrorProcess.started(
            start(command), prefix: prefix, file: file, awaitListing: awaitListing)
    }

    /// The member that a client is connected to, as the kernel says.
    package func member(of client: ProcessUnderTest) async throws -> EtcdProcess {
        let pid = try client.pid
        let words = ["-Htnp", "state", "established", "dport", "=", ":2379"]
        return try await waitForValue("the one connection of \(client)") {
            let said = try await stage.run(Command("ss", words, networkOf: holder))
            let mine = said.output.split(separator: "\n").filter { $0.contains("pid=\(pid),") }
            let found = members.filter { member in mine.contains { $0.contains(" \(member.endpoint) ") } }
            return found.count == 1 ? found[0] : nil
        }
    }
}
