// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Relay
package import ServiceLifecycle
package import ServiceModel
private import Synchronization

/// What `proxy` and `forward` share: the engine, its listeners and what tells of them.
///
/// A link's listener opens with its first snapshot, or at once when it may start empty.
///
/// ## Concurrency
/// Safe from any thread.
package final class RelayParts: Sendable {
    /// A link and where its clients connect.
    package struct Door: Sendable {
        package let link: Link
        package let listen: ListenAddress
        package let policy: LinkPolicy

        package init(link: Link, listen: ListenAddress, policy: LinkPolicy) {
            self.link = link
            self.listen = listen
            self.policy = policy
        }
    }

    package let engine: RelayEngine
    package let listeners: ListenerSet
    package let reporter: RelayReporter

    private let doors: [Door]
    private let settings: RelaySettings
    private let logger: Logger
    private let opened = Mutex<Set<Link.ID>>([])

    /// Raises the limit of descriptors, and finds out whether every listener can be opened.
    /// - Throws: what the kernel refused, naming the address.
    package init(doors: [Door], settings: RelaySettings, logger: Logger) throws(SyscallError) {
        try DescriptorLimit.raise()
        self.doors = doors
        self.settings = settings
        self.logger = logger
        listeners = ListenerSet(
            requests: doors.map(\.listen), socketMode: settings.socketMode, logger: logger)
        for door in doors { try listeners.check(door.listen) }
        engine = try RelayEngine(
            configuration: RelayConfiguration(
                workers: settings.workers, maxConnections: settings.maxConnections, limits: settings.limits,
                eventCapacity: Bridge.eventCapacity))
        reporter = RelayReporter(links: doors.map(\.link), logger: logger)
    }

    /// Passes a snapshot on to the relay; opens the link's listener when it is the first.
    package func apply(_ snapshot: EndpointSnapshot, to id: Link.ID) throws(SyscallError) {
        reporter.learn(snapshot)
        engine.apply(snapshot, to: id)
        try open(id)
    }

    /// Opens the listener of a link that has none yet.
    package func open(_ id: Link.ID) throws(SyscallError) {
        guard let door = doors.first(where: { $0.link.id == id }), opened.withLock({ $0.insert(id).inserted }) else {
            return
        }
        try listeners.open(door.listen, link: door.link, workers: settings.workers) { sockets in
            engine.open(door.link, listeners: sockets, policy: door.policy)
        }
    }

    /// The relay and who tells of it, in the order of a `ServiceGroup`: the relay is stopped first.
    package var services: [any Service] {
        let (engine, reporter, logger, grace) = (engine, reporter, logger, settings.shutdownGrace)
        return [
            CancelledAtShutdown { await reporter.run(droppedEvents: { engine.events.dropped }) },
            CancelledAtShutdown { await Bridge(events: engine.events).run(reporter.report) },
            ToldAtShutdown {
                try await engine.run()
            } atShutdown: {
                let open = engine.statistics().openConnections
                logger.info(
                    "stopping", metadata: ["connections": "\(open)", "grace": "\(DurationText.format(grace))"])
                engine.shutdown(deadline: .now + grace)
            },
        ]
    }

    /// The second signal: resets what is left.
    package func hurry() { engine.shutdown(deadline: .now) }
}
