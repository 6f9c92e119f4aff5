// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What the health check of a container says, which its engine runs.
package enum ContainerHealth: String, Sendable, Hashable, CaseIterable {
    /// There is no check.
    case none
    /// It has neither passed yet nor failed often enough.
    case starting
    case healthy, unhealthy

    /// From the words that a list has for people: `Up 3 seconds (healthy)`. Without such words there is no check.
    init(status: String) {
        switch status {
        case _ where status.hasSuffix("(healthy)"): self = .healthy
        case _ where status.hasSuffix("(unhealthy)"): self = .unhealthy
        case _ where status.hasSuffix("(health: starting)") || status.hasSuffix("(starting)"): self = .starting
        default: self = .none
        }
    }
}

/// What lists that an engine has filtered by health say: the containers' ids.
struct CheckedContainers: Sendable {
    /// Those that have a check.
    var all: Set<String> = []
    var healthy: Set<String> = []
    var unhealthy: Set<String> = []

    /// The same container with its health: these lists' word goes before that of the words for people, unless they
    /// contradict each other, as those of an engine do that does not know the filter and lists everything.
    func judging(_ container: Container) -> Container {
        guard healthy.isDisjoint(with: unhealthy), all.contains(container.id) else { return container }
        var container = container
        if healthy.contains(container.id) {
            container.health = .healthy
        } else {
            container.health = unhealthy.contains(container.id) ? .unhealthy : .starting
        }
        return container
    }
}
