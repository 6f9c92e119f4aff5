// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// Something that happened to a container, as `events` tells it. A hint that hastens the next listing, and the only
/// witness of a signal.
package struct ContainerEvent: Sendable, Hashable {
    /// The first word of what the engine calls it (`start`, `die`, `kill`, `health_status`); engines know many.
    package let action: String
    /// The container's id.
    package let container: String
    /// The container's name, without a leading slash; nil when the engine does not say.
    package let name: String?
    /// Of `kill`: the signal's number.
    package let signal: Int?
    /// Of `health_status`: what it has become.
    package let health: ContainerHealth?

    package init(
        action: String, container: String, name: String? = nil, signal: Int? = nil, health: ContainerHealth? = nil
    ) {
        self.action = action
        self.container = container
        self.name = name
        self.signal = signal
        self.health = health
    }
}

/// What a `ContainerFeed` has to say, in order.
package enum ContainerUpdate: Sendable {
    /// All containers of the engine, running or not, as they are now. Everything that is known rests on these.
    case listing([Container])
    case event(ContainerEvent)
    /// The engine cannot be asked or its events have ended; said once, until a listing says otherwise. The containers may well
    /// be running.
    case lost(DockerError)
}
