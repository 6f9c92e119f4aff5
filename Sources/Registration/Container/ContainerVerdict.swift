// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import Registry

/// What is to be thought of a container's port.
package enum ContainerVerdict: Sendable, Hashable {
    /// It is to be published by nobody.
    case absent(Absence)
    case present(Sighting)

    package enum Absence: Sendable, Hashable, CustomStringConvertible {
        /// The engine has not said yet what there is.
        case unlisted
        case noSuchContainer
        /// It is there, but in this state.
        case notRunning(ContainerState)
        /// It runs, and its health check has not passed yet.
        case unchecked
        /// It runs, and has no address on this network.
        case notOnNetwork(String)
        /// It runs, and knows nothing of this port.
        case portUnknown
        /// It runs and listens, but the host does not listen for it.
        case portNotPublished
        /// The engine has been away for `EngineOutage.limit`.
        case engineAway
        /// The engine is away, and nobody accepts connections where the port was published.
        case engineAwayAndRefused

        package var description: String {
            switch self {
            case .unlisted: "the container engine has not answered yet"
            case .noSuchContainer: "there is no such container"
            case .notRunning(let state): "the container is \(state)"
            case .unchecked: "the container's health check has not passed yet"
            case .notOnNetwork(let network): "the container has no address on the network \(network)"
            case .portUnknown: "the container has no such port"
            case .portNotPublished: "the container's port is exposed but not published"
            case .engineAway: "the container engine has not answered for \(EngineOutage.limit.components.seconds) s"
            case .engineAwayAndRefused: "the container engine does not answer, nor does the published port"
            }
        }

        /// Whether it is up to the operator rather than to time.
        var isMisconfigured: Bool {
            switch self {
            case .portUnknown, .portNotPublished, .notOnNetwork: true
            default: false
            }
        }
    }

    /// Nobody outside reaches it.
    struct Unreachable: Error {
        let why: Absence
    }

    /// A container's port that others can reach.
    package struct Sighting: Sendable, Hashable {
        /// The container's first name; of one without a name the beginning of its id.
        package let container: String
        /// Where others reach it, the best first; at least one.
        package let bindings: [ContainerPort.Binding]
        package let state: InstanceRecord.State
        /// Whether a health check of the container's own stands behind `state`.
        package let isChecked: Bool
        /// Whether the bindings are the container's own addresses, not its host's.
        package let isOwnAddress: Bool

        package init(
            container: String, bindings: [ContainerPort.Binding], state: InstanceRecord.State,
            isChecked: Bool = false, isOwnAddress: Bool = false
        ) {
            self.container = container
            self.bindings = bindings
            self.state = state
            self.isChecked = isChecked
            self.isOwnAddress = isOwnAddress
        }
    }
}
