// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel
internal import Synchronization

/// The data plane: accepts clients, finds each an instance, and moves bytes both ways until both sides are done.
///
/// It knows links and instances, nothing of where they come from. This is its only door.
///
/// ## Concurrency
/// All methods may be called from any thread and return at once; only `close` waits, for one turn of the workers. They
/// reach the workers as commands in mailboxes, in the order in which they were called. Connections belong to the worker
/// that accepted them, on a thread of its own: none of this is held while bytes move.
package final class RelayEngine: Sendable {
    package let events: RelayEvents

    private let configuration: RelayConfiguration
    private let counters: EngineCounters
    private let instances = InstanceLedger()
    private let ports: [WorkerPort]
    private let signal: EventSignal
    private let state = Mutex(State())

    /// - Throws: when the kernel gives no epoll or eventfd (EMFILE, ENFILE, ENOMEM).
    package init(configuration: RelayConfiguration) throws(SyscallError) {
        self.configuration = configuration
        var ports: [WorkerPort] = []
        for _ in 0..<configuration.workers {
            ports.append(try WorkerPort(eventCapacity: configuration.eventCapacity))
        }
        self.ports = ports
        signal = try EventSignal()
        events = RelayEvents(rings: ports.map(\.events), signal: signal)
        let descriptors = try DescriptorLimit.current()
        let pipes = DescriptorLimit.pipes(descriptors: descriptors, wanted: configuration.splicing.maxPipes)
        let room = DescriptorRoom(workers: configuration.workers)
        counters = EngineCounters(
            maxConnections: DescriptorLimit.connections(
                descriptors: descriptors, pipes: pipes, wanted: configuration.maxConnections
            ),
            descriptors: room,
            pipes: PipeBudget(limit: pipes, pipeBytes: configuration.splicing.pipeBytes, descriptors: room)
        )
    }

    /// Accepts clients of `link` from `listeners`, which are bound and listening.
    ///
    /// With as many listeners as workers, or more, each worker accepts from its own; with fewer, workers share them. A
    /// link that drained can be opened again.
    package func open(_ link: Link, listeners: consuming OwnedDescriptors, policy: LinkPolicy) {
        let opened = listeners.relinquish().map { Listener(adopting: $0) }
        for listener in opened {
            StreamSocket.prepare(listener.descriptor)
            StreamSocket.keepAlive(listener.descriptor)
        }
        state.withLock { state in
            guard !state.isShuttingDown else { return }
            let entry = state.entry(link.id, workers: ports.count)
            entry.listeners += opened
            if entry.balance != policy.balance {
                entry.balance = policy.balance
                // What was prepared for another kind of balance is of no use.
                if let snapshot = entry.snapshot {
                    replace(LinkTable(snapshot, balance: policy.balance, ledger: instances), of: entry, in: &state)
                }
            }
            for (index, port) in ports.enumerated() {
                let isShared = opened.count < ports.count
                let own = isShared ? shared(opened, by: index) : every(ports.count, of: opened, from: index)
                port.post(.open(entry.ledger, policy, own, isShared: isShared))
            }
        }
    }

    /// Gives a link the instances that its next connections go to; those that are open stay where they are.
    ///
    /// Whoever connects after this has returned gets one of them. May come before `open`. A snapshot whose sequence is not above the last one's is ignored.
    package func apply(_ snapshot: EndpointSnapshot, to link: Link.ID) {
        let balance = state.withLock { $0.links[link]?.balance } ?? .roundRobin
        let table = LinkTable(snapshot, balance: balance, ledger: instances)
        state.withLock { state in
            let entry = state.entry(link, workers: ports.count)
            guard snapshot.sequence > entry.snapshot?.sequence ?? 0 else { return }
            entry.snapshot = snapshot
            let isRight = entry.balance == balance
            replace(
                isRight ? table : LinkTable(snapshot, balance: entry.balance, ledger: instances), of: entry, in: &state)
        }
    }

    private func replace(_ table: LinkTable, of entry: Entry, in state: inout State) {
        // The last hand to let go of a table frees it: keep that work off the workers.
        state.retire(entry.table)
        entry.table = table
        for port in ports { port.post(.apply(table, entry.ledger)) }
    }

    /// Lets what runs go on until `deadline`, and resets what is left then; nil: lets it go on. The last word counts.
    ///
    /// A link stops accepting (its listeners stay open until `close`), and says `linkDrained` when its last connection
    /// has ended. An instance's connections are only given the deadline: which instances are picked is the snapshot's.
    package func drain(_ target: RelayTarget, until deadline: ContinuousClock.Instant?) {
        let nanoseconds = deadline.map(Self.monotonic)
        state.withLock { _ in
            for port in ports { port.post(.drain(target, deadline: nanoseconds)) }
        }
    }

    /// Resets the connections of links and instances, both sides, in one pass over them. Who was still waiting for the instance to accept
    /// goes on to another.
    package func cut(_ targets: Set<RelayTarget>, reason: CutReason) {
        state.withLock { _ in
            for port in ports { port.post(.cut(targets, CloseReason(reason))) }
        }
    }

    /// Stops accepting for a link. Its connections go on.
    ///
    /// - Returns: the listeners, open, with whoever waits in their backlogs; letting go of them closes them.
    package func close(_ link: Link.ID) -> OwnedDescriptors {
        let reply = CloseReply()
        let (listeners, answers) = state.withLock { state -> ([Listener], Int) in
            guard let entry = state.links[link] else { return ([], 0) }
            defer { entry.listeners = [] }
            guard state.phase != .idle else {
                for port in ports { port.withdrawOpening(of: link) }
                return (entry.listeners, 0)
            }
            let answers = ports.count { $0.post(.close(link, reply)) }
            return (entry.listeners, answers)
        }
        reply.wait(for: answers)
        return OwnedDescriptors(adopting: listeners.compactMap { $0.relinquish() })
    }

    package func statistics() -> RelayStatistics {
        let links = state.withLock { state in state.links.values.map(\.ledger) }
        return RelayStatistics(
            links: links.map(\.totals).sorted { $0.link.index < $1.link.index },
            openConnections: counters.openConnections,
            maxConnections: counters.maxConnections,
            openPipes: counters.pipes.openPipes,
            acceptPauses: counters.acceptPauses.load(ordering: .relaxed),
            staleEvents: counters.staleEvents.load(ordering: .relaxed),
            droppedEvents: events.dropped
        )
    }

    /// Connections that run to an instance now, or try to.
    package func openConnections(to instance: InstanceID) -> Int { instances.openConnections(instance) }

    /// Whether every worker has taken a snapshot without the instance, for every link, and no connection of it is open.
    package func hasReleased(_ id: InstanceID) -> Bool {
        state.withLock { state in state.dropRetired() }
        return instances.hasReleased(id)
    }

    /// Starts the worker threads and returns when they have ended, after `shutdown`. Once in an engine's life.
    ///
    /// Cancelling it is `shutdown` without delay.
    /// - Throws: when a thread cannot be started (EAGAIN); those that were are stopped again first.
    package func run() async throws(SyscallError) {
        let completion = state.withLock { state in
            precondition(state.phase == .idle, "RelayEngine.run was called twice")
            state.phase = .running
            return Completion(count: ports.count)
        }
        let failure = startThreads(completion)
        await withTaskCancellationHandler {
            await completion.wait()
        } onCancel: {
            shutdown(deadline: .now)
        }
        if let failure { throw failure }
    }

    /// Stops accepting, lets connections end until `deadline`, and resets the rest. Of several calls the earliest
    /// deadline counts. Before `run` it makes that return at once.
    package func shutdown(deadline: ContinuousClock.Instant) {
        let nanoseconds = Self.monotonic(deadline)
        state.withLock { state in
            state.isShuttingDown = true
            for entry in state.links.values { entry.listeners = [] }
            for port in ports { port.post(.shutdown(deadline: nanoseconds)) }
        }
    }

    // MARK: - Threads

    private func startThreads(_ completion: Completion) -> SyscallError? {
        for (index, port) in ports.enumerated() {
            let (configuration, counters, instances, signal) = (configuration, counters, instances, signal)
            let result = WorkerThread.start(name: "relay-\(index)") {
                RelayWorker(
                    index: index, port: port, configuration: configuration, counters: counters, instances: instances,
                    signal: signal
                ).run()
                completion.arrive()
            }
            guard result != 0 else { continue }
            shutdown(deadline: .now)
            for port in ports[index...] {
                port.closeMailbox().forEach { command in
                    if case .close(_, let reply) = command { reply.answer() }
                }
                completion.arrive()
            }
            return SyscallError(call: "pthread_create", subject: "relay-\(index)", number: result)
        }
        return nil
    }

    private func shared(_ listeners: [Listener], by worker: Int) -> [Listener] {
        listeners.isEmpty ? [] : [listeners[worker % listeners.count]]
    }

    private func every(_ stride: Int, of listeners: [Listener], from first: Int) -> [Listener] {
        Swift.stride(from: first, to: listeners.count, by: stride).map { listeners[$0] }
    }

    private static func monotonic(_ instant: ContinuousClock.Instant) -> UInt64 {
        Syscall.monotonicNanoseconds() + ContinuousClock.now.duration(to: instant).nanoseconds
    }
}

// MARK: - State

extension RelayEngine {
    fileprivate enum Phase { case idle, running }

    /// Under the engine's lock, as is all that is reachable from it but the tables.
    fileprivate final class Entry {
        let ledger: LinkLedger
        /// As told when it was opened.
        var balance = Balance.roundRobin
        /// The newest.
        var snapshot: EndpointSnapshot?
        var table: LinkTable?
        var listeners: [Listener] = []

        init(ledger: LinkLedger) { self.ledger = ledger }
    }
}

extension RelayEngine {
    fileprivate struct State {
        var phase = Phase.idle
        var isShuttingDown = false
        var links: [Link.ID: Entry] = [:]
        /// Tables that workers may still pick from.
        private var retired: [LinkTable] = []

        mutating func entry(_ id: Link.ID, workers: Int) -> Entry {
            if let entry = links[id] { return entry }
            let entry = Entry(ledger: LinkLedger(id: id, workers: workers))
            links[id] = entry
            return entry
        }

        mutating func retire(_ table: LinkTable?) {
            if let table { retired.append(table) }
            dropRetired()
        }

        /// Lets go of the tables that no worker holds any more, and with them of their instances.
        mutating func dropRetired() {
            for index in retired.indices.reversed() where isKnownUniquelyReferenced(&retired[index]) {
                retired.remove(at: index)
            }
        }
    }
}
