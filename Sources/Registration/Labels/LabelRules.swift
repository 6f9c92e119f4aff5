// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
import Registry
import ServiceModel

/// Decides which ports of a container are to be published, and as what, from its labels.
///
/// Pure. Containers say so themselves (`legation.service`, or registrator's `SERVICE_NAME`); one that says nothing is none
/// of ours, unless everything is to be as with registrator. A label is anybody's word who may start a container: whatever
/// cannot be used costs its own port, and nothing else.
package struct LabelRules: Sendable, Hashable {
    /// What else is to be done as another program does it (`--compat`).
    package enum Compatibility: String, Sendable, Hashable, CaseIterable {
        /// Every published port is registered, labels or not; a container's environment counts like its labels.
        case registrator
    }

    /// The services that may be claimed here (`--allow-service`); empty: all.
    package var allowed: [ServicePattern]
    package var compatibility: Compatibility?
    /// On which containers' own addresses are published (`--network`); nil for the host's.
    package var network: String?

    package init(allowed: [ServicePattern] = [], compatibility: Compatibility? = nil, network: String? = nil) {
        self.allowed = allowed
        self.compatibility = compatibility
        self.network = network
    }

    /// What a container's labels come to.
    package struct Reading: Sendable, Hashable {
        /// By port.
        package var claims: [ContainerClaim] = []
        package var problems: [LabelProblem] = []

        package init() {}
    }

    package func reading(of container: Container) -> Reading {
        var reading = Reading()
        let own = ContainerLabels(container.labels)
        reading.problems = own.unknown
        let claimed = own.claimedPorts(of: container, &reading.problems)
        for port in claimed {
            add(to: &reading) { () throws(LabelProblem) in try own.claim(of: port, self) }
        }
        let others = RegistratorLabels(container, self)
        for port in others.ports(of: container) where !claimed.contains(port) {
            add(to: &reading) { () throws(LabelProblem) in try others.claim(of: port, self) }
        }
        reading.claims.sort {
            PortLabel($0.port, $0.transport) < PortLabel($1.port, $1.transport)
        }
        return reading
    }

    private func add(
        to reading: inout Reading, _ claim: () throws(LabelProblem) -> ContainerClaim?
    ) {
        do throws(LabelProblem) {
            if let claim = try claim() { reading.claims.append(claim) }
        } catch {
            // One label may concern several ports.
            if !reading.problems.contains(error) { reading.problems.append(error) }
        }
    }

    /// - Throws: when it is no service's name, or none that may be claimed here.
    func service(_ name: String, label: String) throws(LabelProblem) -> ServiceName {
        guard let service = ServiceName(name) else {
            throw LabelProblem(label, value: name, allowed: ServiceName.allowedForm)
        }
        guard allowed.isEmpty || allowed.contains(where: { $0.allows(service) }) else {
            let patterns = allowed.map(\.description).joined(separator: ", ")
            throw LabelProblem(label, value: name, allowed: "a service of --allow-service: \(patterns)")
        }
        return service
    }
}
