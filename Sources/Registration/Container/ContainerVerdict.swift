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
            case .portUnknown: "the container has no such port"
            case .portNotPublished: "the container's port is exposed but not published"
            case .engineAway: "the container engine has not answered for \(EngineOutage.limit.components.seconds) s"
            case .engineAwayAndRefused: "the container engine does not answer, nor does the published port"
            }
        }

        /// Whether it is up to the operator rather than to time.
        var isMisconfigured: Bool { self == .portUnknown || self == .portNotPublished }
    }

    /// A container's port that others can reach.
    package struct Sighting: Sendable, Hashable {
        /// The container's first name; of one without a name the beginning of its id.
        package let container: String
        /// Where the host listens for it, the best first; at least one.
        package let bindings: [ContainerPort.Binding]
        package let state: InstanceRecord.State
        package let labels: [String: String]

        package init(
            container: String, bindings: [ContainerPort.Binding], state: InstanceRecord.State,
            labels: [String: String] = [:]
        ) {
            self.container = container
            self.bindings = bindings
            self.state = state
            self.labels = labels
        }
    }
}
