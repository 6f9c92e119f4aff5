// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registration
import ServiceModel
import Testing

/// Containers as an engine lists them.
enum Engine {
    static let redisID = String(repeating: "3f4e5d6c7b8a", count: 5) + "0000"
    static let otherID = String(repeating: "a1b2c3d4e5f6", count: 5) + "1111"

    static func binding(_ endpoint: String) throws -> ContainerPort.Binding {
        let endpoint = try #require(Endpoint(endpoint))
        return ContainerPort.Binding(address: endpoint.address, port: endpoint.port)
    }

    /// - Parameter at: where port 6379 is published.
    static func redis(
        _ state: ContainerState = .running, at endpoints: [String] = ["10.77.0.1:32768"],
        _ transport: ContainerPort.Transport = .tcp, id: String = redisID, names: [String] = ["redis"],
        labels: [String: String] = [:], networks: [String: [IPAddress]] = [:], health: ContainerHealth = .none
    ) throws -> Container {
        let ports = try endpoints.map { ContainerPort(6379, transport, binding: try binding($0)) }
        return Container(
            id: id, names: names, state: state, labels: labels, ports: ports, networks: networks, health: health)
    }

    static func kill(_ signal: Int?, _ id: String = redisID, name: String? = "redis") -> ContainerEvent {
        ContainerEvent(action: "kill", container: id, name: name, signal: signal)
    }

    static func event(_ action: String, _ id: String = redisID) -> ContainerEvent {
        ContainerEvent(action: action, container: id, name: "redis")
    }
}
