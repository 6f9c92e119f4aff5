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

    /// Ports of one container that may be published: more than any image has that is meant well, and each is a key, a probe and
    /// what a log says of both.
    package static let mostClaims = 128
    /// Problems of one container that are told: whoever mends these sees the others then.
    package static let mostProblems = 16

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
        /// By port; `mostClaims` at most.
        package var claims: [ContainerClaim] = []
        /// Each once; one more than `mostProblems` at most, which says how many more there are.
        package var problems: [LabelProblem] = []

        package init() {}
    }

    package func reading(of container: Container) -> Reading {
        let own = ContainerLabels(container.labels)
        var problems = own.unknown
        let claimed = own.claimedPorts(of: container, &problems)
        var claims: [ContainerClaim] = []
        var room = Self.mostClaims
        add(claimed, &claims, &problems, &room) { port throws(LabelProblem) in
            try own.claim(of: port, self)
        }
        let others = RegistratorLabels(container, self)
        let isClaimed = Set(claimed)
        let rest = others.ports(of: container).filter { !isClaimed.contains($0) }
        add(rest, &claims, &problems, &room) { port throws(LabelProblem) in
            try others.claim(of: port, self)
        }
        var reading = Reading()
        reading.claims = claims.sorted { PortLabel($0.port, $0.transport) < PortLabel($1.port, $1.transport) }
        reading.problems = Self.told(problems)
        return reading
    }

    /// - Parameter room: for so many ports more, whether they can be published or not: what cannot costs time as well.
    private func add(
        _ ports: [PortLabel], _ claims: inout [ContainerClaim], _ problems: inout [LabelProblem], _ room: inout Int,
        _ claim: (PortLabel) throws(LabelProblem) -> ContainerClaim?
    ) {
        for port in ports {
            do throws(LabelProblem) {
                guard let claim = try claim(port) else { continue }
                guard room > 0 else {
                    throw LabelProblem(
                        "port \(port.labelName)", value: claim.service.description,
                        allowed: "\(Self.mostClaims) ports of one container: this one and those behind it are left out")
                }
                claims.append(claim)
            } catch {
                problems.append(error)
            }
            guard room > 0 else { return }
            room -= 1
        }
    }

    private static func told(_ problems: [LabelProblem]) -> [LabelProblem] {
        var seen: Set<LabelProblem> = []
        // One label may concern several ports.
        let each = problems.filter { seen.insert($0).inserted }
        guard each.count > mostProblems else { return each }
        let more = LabelProblem(
            "and \(each.count - mostProblems) more", value: "", allowed: "what is said of the \(mostProblems) before")
        return each.prefix(mostProblems) + [more]
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
