// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// The examples of `register --help`, which name a container.
@Suite(.tags(.integration), .untilHung)
struct LabHelpTests {
    /// Of `register`, on a host with an engine that runs the container of the example.
    @Test func examplesOfRegisterWork() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            // What the examples name: a container, its label, a network.
            try await host.redis("redis-demo.service", ["--label", "legation.service=redis-A"])
            try await host.docker("network", "create", "backend")
            try await host.docker("network", "connect", "backend", "redis-demo.service")
            let examples = HelpText(try await lab.stage.runLegation(["register", "--help"]).output).examples
            try #require(examples.count >= 2)
            for example in examples {
                let arguments = example.split(separator: " ").dropFirst().map(String.init)
                let binary = [try LegationBinary.path] + arguments
                let process = try await host.start(["env", "ETCDCTL_ENDPOINTS=\(lab.url)"] + binary)
                try await process.firstLine(containing: "registered", "key=")
                try await HelpExamplesTests.end(process, example)
            }
        }
    }
}
