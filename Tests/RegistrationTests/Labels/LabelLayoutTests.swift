// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import TestSupport
import Testing

/// All labelled containers of a host, below their node and in other programs' forms.
@Suite(.timeLimit(.minutes(1))) struct LabelLayoutTests {
    private func redis() throws -> Container {
        try Labelled.container(["legation.service": "redis-A"], ports: ["10.77.0.1:32768->6379/tcp"], name: "redis")
    }

    private func other(_ service: String) throws -> Container {
        try Labelled.container(
            ["legation.service": service], ports: ["10.77.0.1:8000->80/tcp"], name: "other", id: Engine.otherID)
    }

    @Test func belowNodesEveryInstanceStandsUnderItsOwn() async throws {
        let harness = try ContainerHarness(rules: LabelRules()) { $0.layout.order = .nodeFirst }
        try await harness.running {
            harness.list(try redis(), try other("web"))
            try await harness.until("/services-by-node/hostA/web/hostA:other:80") { record, _ in
                record.node == "hostA"
            }
            try await harness.until("/services-by-node/hostA/redis-A/hostA:redis:6379") { record, _ in
                record.container == "redis"
            }
            #expect(try await harness.memory.list(.prefix("/services/")).entries.isEmpty)
        }
    }

    @Test func everyInstanceStandsInOtherFormsToo() async throws {
        let forms = try ["registrator", "skydns:lan"].map { try #require(SecondForm($0)) }
        let harness = try ContainerHarness(rules: LabelRules()) { $0.also = forms }
        try await harness.running {
            harness.list(try redis(), try other("web"))
            try await harness.until("10.77.0.1:32768")
            try await harness.until("/services/web/hostA:other:80") { _, _ in true }
            let entries = try await harness.memory.list(.prefix("/registrator/")).entries
            #expect(
                entries.map { "\($0.key)=\(String(decoding: $0.value, as: UTF8.self))" } == [
                    "/registrator/redis-A/hostA:redis:6379=10.77.0.1:32768",
                    "/registrator/web/hostA:other:80=10.77.0.1:8000",
                ])
            #expect(try await harness.memory.list(.prefix("/skydns/lan/")).entries.count == 2)
        }
    }

    /// Of a service that a form cannot name: its own port is not published at all, and the others are.
    @Test func whatAFormCannotNameCostsItsOwnPortAlone() async throws {
        let form = try #require(SecondForm("skydns"))
        let harness = try ContainerHarness(rules: LabelRules()) { $0.also = [form] }
        try await harness.running {
            harness.list(try other("a..b"), try redis())
            try await harness.until("10.77.0.1:32768")
            #expect(try await harness.memory.list(.prefix("/services/")).entries.count == 1)
            #expect(try await harness.memory.list(.prefix("/skydns/")).entries.count == 1)
        }
    }
}
