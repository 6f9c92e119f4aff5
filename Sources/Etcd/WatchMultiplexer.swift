// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import Logging
internal import SwiftProtobuf
internal import Synchronization

/// Carries all watches of a client over one stream, opened when there is a watch and opened anew when it ends.
///
/// ## Concurrency
/// The state machine, the queues to the consumers and the open stream's writer are under one mutex. Requests are handed to
/// the writer *under* it (a buffered, non-blocking yield): a create decided for one stream must never be sent on the next.
/// So are events to their queue: what was decided before a list must never be delivered behind it.
final class WatchMultiplexer: Sendable {
    struct State {
        var machine: WatchStateMachine
        var consumers: [WatchStateMachine.WatcherID: WatchQueue] = [:]
        var requests: AsyncStream<Etcdserverpb_WatchRequest>.Continuation?
        /// `run` has returned: nothing will come any more.
        var hasEnded = false
    }

    /// What takes time: done beside the stream.
    enum Job {
        case relist(WatchStateMachine.WatcherID, KeyRange)
        case rest(WatchStateMachine.WatcherID, attempt: Int)
    }

    private let queueLimit: Int
    let state: Mutex<State>
    let (jobs, jobContinuation) = AsyncStream<Job>.makeStream()
    private let (wakeUps, wakeUp) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    init(_ configuration: EtcdConfiguration) {
        queueLimit = configuration.watchQueueLimit
        state = Mutex(State(machine: WatchStateMachine(hasTokens: configuration.credentials != nil)))
    }

    /// - Parameter known: the newest revision that the cluster has shown; nil before the first.
    func add(
        _ range: KeyRange, from revision: Revision, known: Revision?
    ) -> (WatchStateMachine.WatcherID, WatchEvents) {
        // The queue is made within the lock that makes the watcher's name: nothing is delivered before it is there.
        let (id, queue, rest) = state.withLock { state in
            let (id, actions) = state.machine.added(range, from: revision, known: known)
            let queue = WatchQueue(limit: queueLimit) { [weak self] in self?.step { $0.drained(id) } }
            if state.hasEnded { queue.finish() }
            state.consumers[id] = queue
            return (id, queue, state.carryOut(actions))
        }
        perform(rest)
        wakeUp.yield()
        return (id, WatchEvents(queue: queue))
    }

    func remove(_ id: WatchStateMachine.WatcherID) {
        step { $0.removed(id) }
        state.withLock { $0.consumers.removeValue(forKey: id) }?.finish()
    }

    func historyBroke() { step { $0.historyBroke() } }

    /// Runs until cancelled; then every consumer's sequence ends.
    func run(on client: EtcdClient) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepStreaming(on: client) }
            for await job in jobs {
                group.addTask {
                    switch job {
                    case .relist(let id, let range): await self.relist(id, range, on: client)
                    case .rest(let id, let attempt):
                        try? await client.pause(afterAttempt: attempt)
                        self.step { $0.rested(id) }
                    }
                }
            }
        }
        let consumers = state.withLock { state in
            state.hasEnded = true
            defer { state.consumers = [:] }
            return state.consumers
        }
        for consumer in consumers.values { consumer.finish() }
    }

    private func keepStreaming(on client: EtcdClient) async {
        var failures = FailureRow()
        var wakeUps = wakeUps.makeAsyncIterator()
        while !Task.isCancelled {
            if state.withLock({ $0.machine.isEmpty }) {
                guard await wakeUps.next() != nil else { return }
                continue
            }
            let begun = ContinuousClock.now
            let wasGood = Mutex(false)
            do {
                let connection = try await client.slot.connection(within: .seconds(5), for: "watch")
                try await stream(on: connection, of: client, wasGood)
            } catch {
                client.logger.debug("watch stream ended", metadata: ["error": "\(error)"])
            }
            failures.ended(wasGood: wasGood.withLock { $0 }, lived: begun.duration(to: .now))
            try? await client.pause(afterAttempt: failures.count)
        }
    }

    /// - Parameter wasGood: set when something was watched on it.
    private func stream(
        on connection: EtcdConnection, of client: EtcdClient, _ wasGood: borrowing Mutex<Bool>
    ) async throws {
        // A stream shows the token that it was opened with, to its end.
        let token = connection.tokens.current
        let (requests, writer) = AsyncStream<Etcdserverpb_WatchRequest>.makeStream()
        let rest = state.withLock { state in
            state.requests = writer
            let actions = state.machine.streamOpened()
            return state.carryOut(actions)
        }
        perform(rest)
        defer {
            writer.finish()
            let isWatching = state.withLock { state in
                state.requests = nil
                defer { state.machine.streamClosed() }
                return state.machine.isWatching
            }
            wasGood.withLock { $0 = isWatching }
        }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                let lastHeard = LastHeard()
                group.addTask {
                    try await self.exchange(requests, on: connection, token, of: client, lastHeard)
                }
                group.addTask { try await self.endWhenSilent(client.configuration.watchSilenceLimit, lastHeard) }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            let failure = EtcdError(error, during: "watch")
            client.heed(failure, of: connection, token)
            // On the next stream the same revision would come again.
            if failure.saysUnreadable { step { $0.unreadable() } }
            throw failure
        }
    }

    private func exchange(
        _ requests: AsyncStream<Etcdserverpb_WatchRequest>, on connection: EtcdConnection, _ token: AuthToken?,
        of client: EtcdClient, _ lastHeard: LastHeard
    ) async throws {
        let request = StreamingClientRequest<Etcdserverpb_WatchRequest>(metadata: EtcdClient.requireLeader) { stream in
            for await request in requests { try await stream.write(request) }
        }
        try await connection.watch.watch(request: request, options: client.callOptions(timeout: nil)) { response in
            for try await message in response.messages {
                lastHeard.touch()
                client.heard(revision: message.header.revision)
                let orders = self.step { $0.received(.init(message)) }
                if orders.renewsToken { connection.tokenWasRefused(token) }
                if let reason = orders.leaveBecause { throw EtcdError(.unavailable, reason) }
            }
        }
    }

    /// etcd reports progress to each idle watcher about every ten minutes: a longer silence is a stream that is none any
    /// more, whatever its transport says.
    private func endWhenSilent(_ limit: Duration, _ lastHeard: LastHeard) async throws {
        while true {
            let deadline = lastHeard.instant + limit
            if ContinuousClock.now >= deadline {
                if state.withLock({ $0.machine.isExpecting }) {
                    throw EtcdError(.timedOut, "watch: nothing came for \(limit.components.seconds) s")
                }
                lastHeard.touch()
            }
            try await Task.sleep(until: lastHeard.instant + limit, clock: .continuous)
        }
    }
}
