// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import Registry
import ServiceModel
import Testing

/// Containers with labels, and what is made of them, in words.
enum Labelled {
    /// - Parameter ports: as `docker ps` shows them, `0.0.0.0:32768->6379/tcp`, or exposed only, `6379/tcp`.
    static func container(
        _ labels: [String: String], ports: [String] = ["10.77.0.1:32768->6379/tcp"], name: String = "redis",
        id: String = Engine.redisID, state: ContainerState = .running, image: String = "",
        environment: [String: String] = [:], usesHostNetwork: Bool = false, health: ContainerHealth = .none,
        networks: [String: [IPAddress]] = [:]
    ) throws -> Container {
        Container(
            id: id, names: [name], state: state, labels: labels, ports: try ports.map(port), networks: networks,
            image: image, usesHostNetwork: usesHostNetwork, health: health, environment: environment)
    }

    private static func port(_ text: String) throws -> ContainerPort {
        let halves = text.split(separator: ">")
        let inside = try #require(halves.last).split(separator: "/")
        return ContainerPort(
            try #require(UInt16(inside[0])), try #require(ContainerPort.Transport(rawValue: String(inside[1]))),
            binding: halves.count == 2 ? try Engine.binding(String(halves[0].dropLast())) : nil)
    }

    /// `6379/tcp redis-A weight=5 tags=a,b meta={"version":"7.0"}`: what is not as usual.
    static func words(_ claim: ContainerClaim) throws -> String {
        let usual = InstanceRecord(endpoint: try #require(Endpoint("10.0.0.1:1")))
        var record = usual
        claim.fields.apply(to: &record)
        let more = [
            record.weight == usual.weight ? nil : "weight=\(record.weight)",
            record.priority == usual.priority ? nil : "priority=\(record.priority)",
            record.tags.isEmpty ? nil : "tags=\(record.tags.joined(separator: "|"))",
            record.meta.isEmpty ? nil : "meta=\(String(decoding: record.meta.encoded(), as: UTF8.self))",
            claim.instance.map { "instance=\($0)" }, claim.address.map { "address=\($0)" },
            claim.network.map { "network=\($0)" },
        ]
        return ([claim.portText, claim.service.description] + more.compactMap(\.self)).joined(separator: " ")
    }

    static func claims(_ container: Container, _ rules: LabelRules = LabelRules()) throws -> [String] {
        let reading = rules.reading(of: container)
        #expect(reading.problems.isEmpty)
        return try reading.claims.map(words)
    }
}
