// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Glibc
internal import ServiceModel
internal import Synchronization

/// What the engine's door asks of a worker. A worker carries commands out in the order they were posted.
enum WorkerCommand: Sendable {
    /// - Parameter isShared: whether other workers accept from the same socket.
    case open(LinkLedger, LinkPolicy, [Listener], isShared: Bool)
    case apply(LinkTable, LinkLedger)
    /// - Parameter deadline: of CLOCK_MONOTONIC; nil for none.
    case drain(RelayTarget, deadline: UInt64?)
    case cut(Set<RelayTarget>, CloseReason)
    case close(Link.ID, CloseReply)
    case shutdown(deadline: UInt64)
}

/// Lets `RelayEngine.close` wait until no worker uses the link's listeners any more.
///
/// A worker answers within one turn of its loop, so that blocking here is short.
final class CloseReply: @unchecked Sendable {
    // Safety: a POSIX semaphore, made for use from any thread; it never moves and lives as long as this.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func answer() { sem_post(semaphore) }

    func wait(for answers: Int) {
        for _ in 0..<answers {
            while sem_wait(semaphore) != 0 {}
        }
    }
}

/// The part of a worker that other threads may touch: its epoll, its mailbox, and its ring of events.
final class WorkerPort: Sendable {
    private struct Mailbox {
        var commands: [WorkerCommand] = []
        var isClosed = false
    }

    let epoll: Epoll
    let events: EventRing
    private let wakeUp: EventCounter
    private let mailbox = Mutex(Mailbox())
    private let isWaitedFor = Atomic(false)

    init(eventCapacity: Int) throws(SyscallError) {
        epoll = try Epoll()
        wakeUp = try EventCounter()
        events = EventRing(capacity: eventCapacity)
        let result = epoll.add(wakeUp.descriptor, .readable, .wakeUp)
        guard result == 0 else { throw SyscallError(call: "epoll_ctl", number: Int32(-result)) }
    }

    /// - Returns: false when the worker has ended and will not carry it out.
    @discardableResult
    func post(_ command: WorkerCommand) -> Bool {
        let (isPosted, isFirst) = mailbox.withLock { mailbox in
            guard !mailbox.isClosed else { return (false, false) }
            mailbox.commands.append(command)
            isWaitedFor.store(true, ordering: .releasing)
            return (true, mailbox.commands.count == 1)
        }
        if isFirst { wakeUp.signal() }
        return isPosted
    }

    /// Whether there are commands that the worker has not taken, without a lock.
    var hasCommands: Bool { isWaitedFor.load(ordering: .acquiring) }

    func takeCommands() -> [WorkerCommand] {
        wakeUp.clear()
        return mailbox.withLock { mailbox in
            isWaitedFor.store(false, ordering: .releasing)
            defer { mailbox.commands = [] }
            return mailbox.commands
        }
    }

    /// Refuses further commands. - Returns: those that the worker has not seen.
    func closeMailbox() -> [WorkerCommand] {
        mailbox.withLock { mailbox in
            mailbox.isClosed = true
            defer { mailbox.commands = [] }
            return mailbox.commands
        }
    }

    /// Takes back the opening of a link, for as long as the worker's thread has not begun.
    func withdrawOpening(of link: Link.ID) {
        mailbox.withLock { mailbox in
            mailbox.commands.removeAll { command in
                if case .open(let ledger, _, _, _) = command { ledger.id == link } else { false }
            }
        }
    }
}
