// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import Registry
package import ServiceModel

/// One port of a container that somebody wants to be published, and as what.
package struct ContainerClaim: Sendable, Hashable {
    package let service: ServiceName
    /// Inside the container.
    package let port: UInt16
    package let transport: ContainerPort.Transport
    package var fields: RecordFields
    /// The last part of the key; nil for `<node>:<container>:<port>`.
    package var instance: String?
    /// What stands for an unspecified or loopback binding, as it was written; nil for the host's own.
    package var address: String?
    /// The network on which the container's own address is published; nil for the host's address.
    package var network: String?

    package init(
        service: ServiceName, port: UInt16, transport: ContainerPort.Transport = .tcp,
        fields: RecordFields = .none, instance: String? = nil, address: String? = nil, network: String? = nil
    ) {
        self.service = service
        self.port = port
        self.transport = transport
        self.fields = fields
        self.instance = instance
        self.address = address
        self.network = network
    }

    /// `6379/tcp`.
    package var portText: String { "\(port)/\(transport.rawValue)" }
}

/// A claim and what is to be thought of it now.
package struct ContainerFinding: Sendable, Hashable {
    package let claim: ContainerClaim
    /// The container's id; nil when there is no such container.
    package let container: String?
    /// What the container is called; nil when there is none.
    package let name: String?
    package let verdict: ContainerVerdict

    package init(claim: ContainerClaim, container: String?, name: String?, verdict: ContainerVerdict) {
        self.claim = claim
        self.container = container
        self.name = name
        self.verdict = verdict
    }
}

extension ContainerLives {
    /// What is to be thought of a claim on one of `containers`.
    package func verdict(of claim: ContainerClaim, on container: Container) -> ContainerVerdict {
        switch condition(of: container) {
        case .absent(let why): return .absent(why)
        case .present(let state, let isChecked):
            let bindings: [ContainerPort.Binding]
            do throws(ContainerVerdict.Unreachable) {
                bindings = try claim.bindings(on: container)
            } catch {
                return .absent(error.why)
            }
            return .present(
                ContainerVerdict.Sighting(
                    container: container.shownName, bindings: bindings, state: state, isChecked: isChecked,
                    isOwnAddress: claim.network != nil && !container.usesHostNetwork))
        }
    }
}

extension ContainerClaim {
    /// Where others reach it, the best first; at least one.
    fileprivate func bindings(
        on container: Container
    ) throws(ContainerVerdict.Unreachable) -> [ContainerPort.Binding] {
        if container.usesHostNetwork {
            return [IPAddress.unspecifiedV4, .unspecifiedV6].map { ContainerPort.Binding(address: $0, port: port) }
        }
        if let network {
            let addresses = (container.networks[network] ?? []).filter { !$0.isUnspecified }
            guard !addresses.isEmpty else { throw ContainerVerdict.Unreachable(why: .notOnNetwork(network)) }
            return addresses.map { ContainerPort.Binding(address: $0, port: port) }.sorted(by: Self.isBetter)
        }
        let ports = container.ports.filter { $0.number == port && $0.transport == transport }
        guard !ports.isEmpty else { throw ContainerVerdict.Unreachable(why: .portUnknown) }
        let bindings = Set(ports.compactMap(\.binding)).filter { $0.port > 0 }
        guard !bindings.isEmpty else { throw ContainerVerdict.Unreachable(why: .portNotPublished) }
        return bindings.sorted(by: Self.isBetter)
    }

    /// IPv4 before IPv6, and of each family a specific address before an unspecified one, which says less. Loopback comes
    /// last of all: other hosts do not reach it. What is equal in this goes by address and port, so that the same
    /// bindings always give the same choice.
    private static func isBetter(_ left: ContainerPort.Binding, _ right: ContainerPort.Binding) -> Bool {
        func rank(_ binding: ContainerPort.Binding) -> (Int, Int, Int, IPAddress, UInt16) {
            let address = binding.address
            return (
                address.isLoopback ? 1 : 0, address.isV4 ? 0 : 1, address.isUnspecified ? 1 : 0, address, binding.port
            )
        }
        return rank(left) < rank(right)
    }
}

extension Container {
    /// Its first name; of one without a name the beginning of its id.
    package var shownName: String { names.first ?? String(id.prefix(ContainerSelector.shortestID)) }
}
