// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// A container as the engine's list shows it: one element of `containers/json`.
package struct Container: Sendable, Hashable {
    /// 64 hexadecimal digits.
    package let id: String
    /// Without the leading slash, and without the names that legacy links give it (`other/alias`).
    package let names: [String]
    package let state: ContainerState
    package let labels: [String: String]
    /// What it publishes or exposes; an engine lists one element for each family that a port is published on.
    package let ports: [ContainerPort]
    /// Its own addresses, by the name of the network; empty while it does not run.
    package let networks: [String: [IPAddress]]
    /// What its networks call its ends of them: others each time that it starts. Podman says none.
    package let endpoints: Set<String>
    /// As it was named when the container was made (`redis:7`). A list says the image's id instead (`sha256:…`) as soon as that
    /// name means another image; an inspection does not.
    package internal(set) var image: String
    /// Whether it shares the host's network: then it publishes nothing, and listens on the host itself.
    package let usesHostNetwork: Bool
    /// As far as this list says; a filtered list may say more.
    package internal(set) var health: ContainerHealth
    /// Those of its variables that begin with `SERVICE_`; empty unless the feed was told to inspect.
    package internal(set) var environment: [String: String]

    package init(
        id: String, names: [String], state: ContainerState, labels: [String: String] = [:],
        ports: [ContainerPort] = [], networks: [String: [IPAddress]] = [:], endpoints: Set<String> = [],
        image: String = "", usesHostNetwork: Bool = false, health: ContainerHealth = .none,
        environment: [String: String] = [:]
    ) {
        self.id = id
        self.names = names
        self.state = state
        self.labels = labels
        self.ports = ports
        self.networks = networks
        self.endpoints = endpoints
        self.image = image
        self.usesHostNetwork = usesHostNetwork
        self.health = health
        self.environment = environment
    }

    /// The same container with what its health check said earlier, where the engine has forgotten that: one that comes back
    /// to containers that have gone on (live-restore) calls them `starting` until their next check (moby 26).
    /// - Parameter health: what was known last of the earlier one.
    package func remembering(_ health: ContainerHealth, of earlier: Container) -> Container {
        guard self.health == .starting, health != .none, !endpoints.isDisjoint(with: earlier.endpoints) else {
            return self
        }
        var container = self
        container.health = health
        return container
    }
}

/// What a container is doing; an engine may know words that we do not.
package struct ContainerState: Sendable, Hashable, RawRepresentable, CustomStringConvertible {
    package let rawValue: String
    package init(rawValue: String) { self.rawValue = rawValue }

    package static let created = Self(rawValue: "created")
    package static let running = Self(rawValue: "running")
    package static let paused = Self(rawValue: "paused")
    package static let restarting = Self(rawValue: "restarting")
    package static let removing = Self(rawValue: "removing")
    package static let exited = Self(rawValue: "exited")
    package static let dead = Self(rawValue: "dead")
    /// Podman's word for one that has its stop signal and runs on.
    package static let stopping = Self(rawValue: "stopping")

    /// Whether it has a process: it may be paused, or about to end.
    package var isAlive: Bool { self == .running || self == .paused || self == .stopping }

    package var description: String { rawValue }
}

/// One port of a container, published or not.
package struct ContainerPort: Sendable, Hashable {
    package enum Transport: String, Sendable, Hashable, CaseIterable {
        case tcp, udp, sctp
    }

    /// Inside the container.
    package let number: UInt16
    package let transport: Transport
    /// Where the host listens for it; nil when it is exposed only.
    package let binding: Binding?

    package struct Binding: Sendable, Hashable {
        /// Unspecified when the port is published on every address of its family.
        package let address: IPAddress
        package let port: UInt16

        package init(address: IPAddress, port: UInt16) {
            self.address = address
            self.port = port
        }
    }

    package init(_ number: UInt16, _ transport: Transport = .tcp, binding: Binding? = nil) {
        self.number = number
        self.transport = transport
        self.binding = binding
    }
}
