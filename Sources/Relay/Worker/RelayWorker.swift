// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import CLinux
internal import Glibc
internal import ServiceModel
internal import Synchronization

/// One thread with its own epoll: it owns every connection that it accepted, both sides, from accept to close.
///
/// ## Concurrency
/// Made, used and freed on its thread; not Sendable. Other threads reach it through its `WorkerPort` alone. What it
/// shares with other workers are atomics in ledgers. Time is read once a turn, into `now`.
///
/// *Rule zero:* from accept on no lock, no async, no existential, no allocation but the connection's slot. Whatever
/// departs from it says so with `Hot path:`.
final class RelayWorker {
    /// Events taken from the kernel at once; the rest comes with the next turn.
    private static let eventsPerTurn = 256

    let index: Int
    let port: WorkerPort
    let counters: EngineCounters
    let instances: InstanceLedger
    // Hot path: taken out of the ledger, so that looking at an instance counts no references.
    let cells: InstanceCells
    let limits: ConnectRounds.Limits
    let ejection: EjectionPolicy.Limits
    let watchLimits: PeerWatch.Limits
    /// Nanoseconds; `.max` for none.
    let idleLimit: UInt64
    let halfClosedLimit: UInt64
    let ephemeralPorts = EphemeralPorts()
    private let signal: EventSignal

    var now: UInt64
    var slab = ConnectionSlab()
    var wheel: TimerWheel
    var pump: BytePump
    var random = QuickRandom(seed: .random(in: 0 ... .max))
    var listeners: [ListenerSlot] = []
    var acceptPause = AcceptPause()
    /// A connection ended in this turn.
    var hasFreePlace = false
    private(set) var links: [Link.ID: UnsafeMutablePointer<WorkerLink>] = [:]
    private let emptyTable: LinkTable
    /// Connections with a direction that yielded, to go on with in the next turn.
    private var queued: [UInt32] = []
    private var goingOn: [UInt32] = []
    private var hasNews = false
    var deadlines = DrainDeadlines()
    var shutdownDeadline: UInt64?

    init(
        index: Int, port: WorkerPort, configuration: RelayConfiguration, counters: EngineCounters,
        instances: InstanceLedger, signal: EventSignal
    ) {
        self.index = index
        self.port = port
        self.counters = counters
        self.instances = instances
        cells = instances.cells
        self.signal = signal
        let share = (counters.pipes.limit + configuration.workers - 1) / configuration.workers
        pump = BytePump(
            pipes: PipePool(budget: counters.pipes, sparesKept: share),
            bulkAfter: UInt8(clamping: configuration.splicing.fullReads)
        )
        watchLimits = PeerWatch.Limits(configuration.limits.deadPeer)
        idleLimit = configuration.limits.idle?.nanoseconds ?? .max
        halfClosedLimit = configuration.limits.halfClosed?.nanoseconds ?? .max
        limits = ConnectRounds.Limits(configuration.retry)
        ejection = EjectionPolicy.Limits(configuration.ejection)
        emptyTable = LinkTable(EndpointSnapshot(sequence: 0, instances: []), ledger: instances)
        now = Syscall.monotonicNanoseconds()
        wheel = TimerWheel(now: now)
    }

    deinit {
        for link in links.values {
            link.deinitialize(count: 1)
            link.deallocate()
        }
    }

    /// Works until `shutdown` was asked for and no connection is left.
    func run() {
        let events = UnsafeMutablePointer<epoll_event>.allocate(capacity: Self.eventsPerTurn)
        defer { events.deallocate() }
        while shutdownDeadline == nil || slab.count > 0 {
            let count = port.epoll.wait(into: events, capacity: Self.eventsPerTurn, timeoutMilliseconds: timeout)
            now = Syscall.monotonicNanoseconds()
            for position in 0..<count {
                let event = events[position]
                dispatch(Token(rawValue: event.data.u64), Epoll.Interest(rawValue: event.events))
            }
            goOn()
            while let slot = wheel.popDue(now: now) { timerFired(slot) }
            if let alarm = nextAlarm, alarm <= now { alarmRang() }
            if hasFreePlace { useFreePlace() }
            raiseNews()
        }
        for command in port.closeMailbox() {
            if case .close(_, let reply) = command { reply.answer() }
        }
    }

    /// The link that commands are about, known from its first command on.
    func link(_ ledger: LinkLedger) -> UnsafeMutablePointer<WorkerLink> {
        if let link = links[ledger.id] { return link }
        let link = UnsafeMutablePointer<WorkerLink>.allocate(capacity: 1)
        link.initialize(to: WorkerLink(ledger: ledger, worker: index, emptyTable: emptyTable))
        links[ledger.id] = link
        return link
    }

    func report(_ event: RelayEvent) {
        // Hot path: the port lives as long as this, so its ring needs no reference of its own for the call.
        Unmanaged.passUnretained(port.events)._withUnsafeGuaranteedRef { $0.push(event) }
        hasNews = true
    }

    /// Has the connection looked at again before the worker sleeps.
    func goOnLater(_ slot: UInt32) {
        let connection = slab.connection(slot)
        guard !connection.pointee.isQueued else { return }
        connection.pointee.isQueued = true
        // Hot path: both lists keep their storage, so this allocates only at a new maximum.
        queued.append(slot)
    }

    // MARK: - A turn

    private func dispatch(_ token: Token, _ events: Epoll.Interest) {
        switch token.meaning {
        case .half(let index):
            guard slab.half(index).pointee.generation == token.generation else {
                counters.staleEvents.add(1, ordering: .relaxed)
                return
            }
            halfChanged(index, events)
        case .listener(let index):
            accept(fromListener: Int(index), generation: token.generation)
        case .wakeUp:
            carryOutCommands()
        }
    }

    private func goOn() {
        guard !queued.isEmpty else { return }
        swap(&queued, &goingOn)
        for slot in goingOn {
            slab.connection(slot).pointee.isQueued = false
            moveBoth(slot)
        }
        goingOn.removeAll(keepingCapacity: true)
    }

    private var timeout: Int32 {
        guard queued.isEmpty else { return 0 }
        let next = min(wheel.nextDeadline ?? .max, nextAlarm ?? .max)
        guard next != .max else { return -1 }
        // From the turn's beginning and rounded up: waking a little late is right, a little early a turn for nothing.
        return next <= now ? 0 : Int32(clamping: (next - now + 999_999) / 1_000_000)
    }

    private func useFreePlace() {
        hasFreePlace = false
        if acceptPause.isPaused { resumeAccepting() }
    }

    private func raiseNews() {
        guard hasNews else { return }
        hasNews = false
        signal.raise()
    }
}
