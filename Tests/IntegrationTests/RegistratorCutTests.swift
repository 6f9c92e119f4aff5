// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A registrator between which and etcd packets vanish, for longer than its lease lives (F6).
@Suite(.tags(.integration), .untilHung)
struct RegistratorCutTests {
    /// By which the firewall tells the registrator from the proxy, and from who looks on.
    private static let group = 4242
    private static let timeToLive = Duration.seconds(5)
    private static let port: UInt16 = 7000

    @Test(.row("F6")) func whatARegistratorThatIsCutOffHadPublishedIsHeldAndPublishedAgain() async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let stage = faults.stage
            let etcd = try await stage.etcd(clientPort: 2379, network: faults.holder)
            let backend = try await faults.backend(1, Backend.naming("A"))
            var registrator = try LegationBinary.command(
                stage.registerArguments("web", backend.endpoint, etcd: etcd), networkOf: faults.holder)
            registrator.group = Self.group
            _ = try await stage.start(registrator)
            let key = "/services/web/hostA:\(backend.endpoint.address):\(backend.endpoint.port)"
            try await waitFor("\(key) in etcd") { try await etcd.key(key) != nil }
            let proxy = try await stage.legation(
                ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + etcd.arguments
                    + ["web:\(Self.port)"], networkOf: faults.holder)
            try await proxy.firstLine(containing: "listening")

            let client = Endpoint(.loopbackV4, port: Self.port)
            try await withClientLoop(to: client, in: faults.network) { loop in
                let cut = ContinuousClock.now
                try await nft(
                    faults, "add chain inet faults leaving { type filter hook output priority 0 ; }",
                    "add rule inet faults leaving meta skgid \(Self.group) tcp dport 2379 drop")
                // Its lease, and half a second of etcd's.
                try await eventually("F6: the key gone", within: Self.timeToLive + .milliseconds(500), since: cut) {
                    try await etcd.key(key) == nil
                }
                try await proxy.firstLine(containing: "instance held")
                try await waitFor("three leases' time") { ContinuousClock.now - cut >= Self.timeToLive * 3 }
                #expect(loop.rounds.last?.name == "A", "held for as long as it accepts")

                let healed = ContinuousClock.now
                try await nft(faults, "flush chain inet faults leaving")
                try await eventually("F6: registered again", within: .seconds(2), since: healed) {
                    try await etcd.key(key) != nil
                }
                try await proxy.firstLine(containing: "hold ended", "returned")
                #expect(loop.failures.isEmpty, "\(loop.failures.prefix(3))")
                #expect(loop.rounds.count > 100)
            }
        }
    }

    private func nft(_ faults: FaultyNetwork, _ commands: String...) async throws {
        for command in commands {
            let outcome = try await faults.stage.run(Command("nft", [command], networkOf: faults.holder))
            guard outcome.succeeded else { throw MissingPart("\(outcome)") }
        }
    }
}
