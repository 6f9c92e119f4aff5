// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import ServiceModel
import TestSupport
import Testing

/// Under which addresses labelled ports stand that are published on loopback, or on every address of a family.
@Suite(.timeLimit(.minutes(1))) struct LabelAddressTests {
    private func services(_ harness: ContainerHarness) async throws -> [String] {
        try await harness.memory.list(.prefix("/services/")).entries.map { entry in
            "\(entry.key) \(try InstanceRecord(decoding: entry.value).endpoint)"
        }
    }

    /// What stands for both bindings is one address, with the same port.
    @Test(arguments: [
        ["127.0.0.1:8080->80/tcp", "127.0.0.2:8080->81/tcp"], ["0.0.0.0:8080->80/tcp", "[::]:8080->81/tcp"],
    ])
    func twoPortsOfOneContainerAtOneAddressAreBothPublished(_ ports: [String]) async throws {
        let harness = try ContainerHarness(rules: LabelRules())
        let labels = ["legation.80.service": "web", "legation.81.service": "admin", "legation.address": "10.88.0.1"]
        try await harness.running {
            harness.list(try Labelled.container(labels, ports: ports, name: "web"))
            try await eventually { try await services(harness).count == 2 }
            #expect(
                try await services(harness) == [
                    "/services/admin/hostA:web:81 10.88.0.1:8080", "/services/web/hostA:web:80 10.88.0.1:8080",
                ])
            // And one of them leaves by itself.
            await harness.idle()
            harness.list(try Labelled.container(labels, ports: [ports[0]], name: "web"))
            try await harness.until("/services/admin/hostA:web:81") { record, _ in record.state == .draining }
            #expect(try await harness.record("/services/web/hostA:web:80")?.state == .up)
        }
    }

    /// Nobody would listen there.
    @Test func aPortOfOneFamilyIsNotPublishedUnderTheOthersAddress() async throws {
        let harness = try ContainerHarness(rules: LabelRules()) {
            $0.advertise = [IPAddress("10.88.0.1")].compactMap(\.self)
        }
        try await harness.running {
            let redis = try Labelled.container(["legation.service": "redis-A"], ports: ["[::]:1->6379/tcp"])
            let web = try Labelled.container(
                ["legation.service": "web"], ports: ["0.0.0.0:1->80/tcp"], name: "web", id: Engine.otherID)
            harness.list(redis, web)
            try await eventually { try await services(harness) == ["/services/web/hostA:web:80 10.88.0.1:1"] }
            try await harness.untilSaid("container cannot be published")
            let line = try #require(harness.log.lines("container cannot be published").first)
            #expect(line.text("container") == "redis" && line.text("error")?.contains("IPv6 only") == true)
        }
    }
}
