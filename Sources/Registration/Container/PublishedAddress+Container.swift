// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import ServiceModel

extension PublishedAddress {
    /// A container's label that says under which address it is published: an IP address.
    package static let labelName = "legation.address"

    /// Decides among several bindings of one port: the first one whose address others can dial, or for which there is one
    /// of its own family to stand for it (who listens on `0.0.0.0` is not reached by IPv6). The address of a container's label
    /// stands for a binding of the other family too when there is no better one: it is said of this container alone, and
    /// may be that of somebody in front of it.
    /// - Parameter bindings: at least one, the best first; instead of `binding`.
    /// - Throws: an error that names the flag that would help with the first of them.
    package func choose(among bindings: [ContainerPort.Binding]) throws(IdentityError) -> Endpoint {
        precondition(!bindings.isEmpty, "a published port has a binding")
        var foreign: Endpoint?
        var problem: IdentityError?
        for candidate in bindings {
            var one = self
            one.binding = candidate.address
            do throws(IdentityError) {
                let endpoint = Endpoint(try one.choose(inFamily: candidate.address.isV4), port: candidate.port)
                if endpoint.address.isV4 == candidate.address.isV4 { return endpoint }
                foreign = foreign ?? endpoint
            } catch {
                problem = problem ?? error
            }
        }
        if let foreign {
            if label != nil { return foreign }
            let family = foreign.address.isV4 ? "IPv6" : "IPv4"
            problem = IdentityError(
                flag: "--advertise",
                message: "the port is published for \(family) only, but the address that would be published is "
                    + "\(foreign.address), where nobody listens; give one of \(family) as well")
        }
        throw problem ?? IdentityError(flag: "--advertise", message: "there is no binding")
    }

    /// Whether the source address of our connection to etcd may be needed.
    func needsSource(for bindings: [ContainerPort.Binding]) -> Bool {
        !isTold && bindings.contains { $0.address.isUnspecified }
    }

    /// Whether somebody has said what stands for an address that cannot be published.
    var isTold: Bool { label != nil || !advertise.isEmpty || interface != nil }
}
