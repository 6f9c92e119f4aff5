// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// Every example of every `--help`, carried out as it stands, in a network of its own where the ports that it names are
/// free and an etcd listens at its usual place.
@Suite(.tags(.integration), .untilHung)
struct HelpExamplesTests {
    @Test(arguments: CommandLineTests.commands.filter { $0 != "register" })
    func examplesOfTheHelpWork(command: String) async throws {
        try await withStage { stage in
            let examples = HelpText(try await stage.runLegation([command, "--help"]).output).examples
            try #require(examples.count >= 2)
            let network = try await stage.network()
            let etcd = try await stage.etcd(clientPort: 2379, network: network)
            // For services and nodes to have something to show.
            let instance = #"{"port":6379,"host":"10.77.0.1"}"#
            try await etcd.put("/services/redis-A/example", instance)
            // For those that speak of instances.
            for name in ["redis-A/hostA:redis:6379", "pg/hostB:pg:5432"] {
                try await etcd.put("/services/\(name)", instance)
            }
            for name in ["redis-A/hostA:redis:6379", "redis-A/*"] where command == "undo" {
                try await etcd.put("/services-overrides/\(name)", #"{"state":"draining"}"#)
            }
            for example in examples {
                // As a shell has them.
                let arguments = example.split(separator: " ").dropFirst().map { String($0).replacing("'", with: "") }
                try await Self.carryOut(arguments, example: example, network: network, on: stage)
            }
        }
    }

    private static func carryOut(
        _ arguments: [String], example: String, network: ProcessUnderTest, on stage: Stage
    ) async throws {
        let process = try await stage.legation(arguments, networkOf: network)
        switch arguments.first {
        case "services" where arguments.contains("--watch"):
            try await process.firstLine(containing: "redis-A")
            try await end(process, example)
        case "services", "nodes", "check-etcd", "drain", "weight", "undo":
            let status = try await process.end()
            #expect(status == .code(0), "\(example): \(process.lastLines())")
            #expect(!process.output.isEmpty)
            if arguments.contains("--json") {
                _ = try JSONSerialization.jsonObject(with: Data(process.output.utf8))
            }
        default:
            try await process.firstLine(containing: "listening")
            try await end(process, example)
        }
    }

    static func end(_ process: ProcessUnderTest, _ example: String) async throws {
        try process.terminate()
        let status = try await process.end()
        #expect(status == .code(0), "\(example): \(process.lastLines())")
    }
}
