// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// What `register --labels` on a host with 300 containers costs etcd and the engine.
@Suite(.tags(.integration), .untilHung)
struct LabelCostTests {
    private static let containers = 300

    /// docs/promises.md, "Registration". The list is a real engine's, of whose one labelled container there are many.
    @Test func threeHundredContainersAreRegisteredInTwoSecondsAndCostNextToNothing() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            // All of them are published on one port, each on an address of its own.
            let backend = try await stage.backend(on: .unspecifiedV4)
            let engine = try FakeEngine(
                at: stage.directory() + "/docker.sock", apiVersion: "1.41", list: Self.list(port: backend.endpoint.port)
            )
            defer { engine.close() }
            let start = ContinuousClock.now
            let process = try await stage.legation(
                [
                    "register", "--labels", "--docker", "unix://\(engine.path)", "--node", "hostA", "--ttl", "6s",
                    "--allow-loopback",
                ] + etcd.arguments)
            try await eventually("300 containers registered", within: .seconds(2), since: start) {
                try await etcd.keys("/services/").count == Self.containers
            }
            #expect(try await etcd.keys("/services/").allSatisfy { $0.state == "up" })
            let counted = ContinuousClock.now
            let asked = engine.requests.count
            // Once after 30 s, and somewhat longer.
            try await EtcdCost.expect(
                etcd, keepalive: .seconds(2), listing: .seconds(30), during: .seconds(33), of: Self.containers)
            let more = engine.requests.dropFirst(asked).filter { $0.contains("all=1") }.count
            let most = Int((ContinuousClock.now - counted) / Duration.seconds(30)) + 1
            #expect((1...most).contains(more), "a list each 30 s: \(engine.requests)")
            try process.terminate()
            #expect(try await process.end() == .code(0))
            #expect(try await etcd.keys("/services").isEmpty)
        }
    }

    private static func list(port: UInt16) throws -> String {
        let path = "\(PackageRoot.path)/Tests/DockerTests/Fixtures/engine-20.10.24-containers.json"
        let recorded = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
        let labelled = try #require((recorded as? [[String: Any]])?.first { $0["Names"] as? [String] == ["/labelled"] })
        let many = (0..<containers).map { number in
            var one = labelled
            let digits = String(number, radix: 16)
            one["Id"] = String(repeating: "0", count: 64 - digits.count) + digits
            one["Names"] = ["/redis\(number)"]
            let address = "127.1.\(number / 250).\(number % 250 + 1)"
            let published: [String: Any] = [
                "IP": address, "PrivatePort": 6379, "PublicPort": Int(port), "Type": "tcp",
            ]
            one["Ports"] = [published]
            return one
        }
        return String(decoding: try JSONSerialization.data(withJSONObject: many), as: UTF8.self)
    }
}
