// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import FoundationEssentials
internal import GRPCCore
internal import Logging
internal import SwiftProtobuf
internal import Synchronization

/// Carries all watches of a client over one stream, opened when there is a watch and opened anew when it ends.
///
/// ## Concurrency
/// The state machine, the consumers and the open stream's writer are under one mutex. Requests are handed to the writer
/// *under* it (a buffered, non-blocking yield): a create decided for one stream must never be sent on the next.
final class WatchMultiplexer: Sendable {
    private typealias Consumer = AsyncThrowingStream<WatchEvent, any Error>.Continuation

    private struct State {
        var machine = WatchStateMachine()
        var consumers: [WatchStateMachine.WatcherID: Consumer] = [:]
        var requests: AsyncStream<Etcdserverpb_WatchRequest>.Continuation?
    }

    private struct RelistJob {
        let watcher: WatchStateMachine.WatcherID
        let range: KeyRange
    }

    private let state = Mutex(State())
    private let (relists, relistContinuation) = AsyncStream<RelistJob>.makeStream()
    private let (wakeUps, wakeUp) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    func add(_ range: KeyRange, from revision: Revision) -> (WatchStateMachine.WatcherID, WatchEvents) {
        let (stream, consumer) = AsyncThrowingStream<WatchEvent, any Error>.makeStream()
        let (id, rest) = state.withLock { state in
            let (id, actions) = state.machine.added(range, from: revision)
            state.consumers[id] = consumer
            return (id, Self.send(actions, in: &state))
        }
        perform(rest)
        wakeUp.yield()
        return (id, WatchEvents(stream: stream))
    }

    func remove(_ id: WatchStateMachine.WatcherID) {
        step { $0.removed(id) }
        state.withLock { _ = $0.consumers.removeValue(forKey: id) }
    }

    func historyBroke() { step { $0.historyBroke() } }

    /// Runs until cancelled; then every consumer's sequence ends.
    func run(on client: EtcdClient) async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.keepStreaming(on: client) }
            for await job in relists {
                group.addTask { await self.relist(job, on: client) }
            }
        }
        let consumers = state.withLock { state in
            defer { state.consumers = [:] }
            return state.consumers
        }
        for consumer in consumers.values { consumer.finish() }
    }

    private func keepStreaming(on client: EtcdClient) async {
        var failuresInARow = 0
        var wakeUps = wakeUps.makeAsyncIterator()
        while !Task.isCancelled {
            if state.withLock({ $0.machine.isEmpty }) {
                guard await wakeUps.next() != nil else { return }
                continue
            }
            let heardBefore = client.knowledge.lastContact
            do {
                let connection = try await client.slot.connection(within: .seconds(5), for: "watch")
                try await stream(on: connection, of: client)
            } catch {
                client.logger.debug("watch stream ended", metadata: ["error": "\(error)"])
            }
            failuresInARow = client.knowledge.lastContact == heardBefore ? failuresInARow + 1 : 1
            try? await client.pause(afterAttempt: failuresInARow)
        }
    }

    private func stream(on connection: EtcdConnection, of client: EtcdClient) async throws {
        let (requests, writer) = AsyncStream<Etcdserverpb_WatchRequest>.makeStream()
        let rest = state.withLock { state in
            state.requests = writer
            let actions = state.machine.streamOpened()
            return Self.send(actions, in: &state)
        }
        perform(rest)
        defer {
            writer.finish()
            state.withLock { state in
                state.requests = nil
                state.machine.streamClosed()
            }
        }
        let request = StreamingClientRequest<Etcdserverpb_WatchRequest>(metadata: EtcdClient.requireLeader) { stream in
            for await request in requests { try await stream.write(request) }
        }
        do {
            try await connection.watch.watch(request: request, options: client.callOptions(timeout: nil)) { response in
                for try await message in response.messages {
                    client.heard(revision: message.header.revision)
                    if let reason = self.received(message) { throw EtcdError(.unavailable, reason) }
                }
            }
        } catch {
            let failure = EtcdError(error, during: "watch")
            if failure.saysNoLeader { connection.abandon() }
            throw failure
        }
    }

    /// - Returns: why the stream must be left, nil to go on.
    private func received(_ message: Etcdserverpb_WatchResponse) -> String? {
        step { $0.received(.init(message)) }
    }

    private func relist(_ job: RelistJob, on client: EtcdClient) async {
        var attempt = 0
        while !Task.isCancelled, state.withLock({ $0.consumers[job.watcher] }) != nil {
            do {
                let listing = try await client.list(job.range)
                state.withLock { $0.consumers[job.watcher] }?.yield(.reset(listing))
                step { $0.relisted(job.watcher, at: listing.revision) }
                return
            } catch let error where error.isTransient {
                attempt += 1
                try? await client.pause(afterAttempt: attempt)
            } catch {
                state.withLock { $0.consumers[job.watcher] }?.finish(throwing: error)
                return remove(job.watcher)
            }
        }
    }

    // MARK: - Carrying out

    @discardableResult
    private func step(_ event: (inout WatchStateMachine) -> [WatchStateMachine.Action]) -> String? {
        let rest = state.withLock { state in
            let actions = event(&state.machine)
            return Self.send(actions, in: &state)
        }
        return perform(rest)
    }

    /// Sends what goes on the stream. - Returns: what is left to do outside the lock.
    private static func send(
        _ actions: [WatchStateMachine.Action], in state: inout State
    ) -> [WatchStateMachine.Action] {
        actions.filter { action in
            switch action {
            case .create(let watchID, let range, let revision):
                state.requests?.yield(.create(watchID, range, from: revision))
            case .cancel(let watchID):
                state.requests?.yield(.with { $0.cancelRequest.watchID = watchID })
            case .deliver, .relist, .fail, .reconnect:
                return true
            }
            return false
        }
    }

    @discardableResult
    private func perform(_ actions: [WatchStateMachine.Action]) -> String? {
        var leaveBecause: String?
        for action in actions {
            switch action {
            case .deliver(let id, let events):
                let consumer = state.withLock { $0.consumers[id] }
                for event in events { consumer?.yield(event) }
            case .relist(let id, let range):
                relistContinuation.yield(RelistJob(watcher: id, range: range))
            case .fail(let id, let code, let reason):
                let consumer = state.withLock { $0.consumers.removeValue(forKey: id) }
                consumer?.finish(throwing: EtcdError(code, "watch refused: \(reason)"))
            case .reconnect(let reason):
                leaveBecause = reason
            case .create, .cancel:
                break
            }
        }
        return leaveBecause
    }
}

extension Etcdserverpb_WatchRequest {
    fileprivate static func create(_ watchID: Int64, _ range: KeyRange, from revision: Revision) -> Self {
        .with {
            $0.createRequest.key = Data(range.start)
            $0.createRequest.rangeEnd = Data(range.end)
            $0.createRequest.startRevision = revision.rawValue
            $0.createRequest.watchID = watchID
            // So that an idle range survives compaction: the server reports about every ten minutes.
            $0.createRequest.progressNotify = true
            $0.createRequest.fragment = true
        }
    }
}

extension WatchStateMachine.Response {
    fileprivate init(_ message: Etcdserverpb_WatchResponse) {
        self.init(
            watchID: message.watchID, revision: Revision(message.header.revision), isCreated: message.created,
            isCanceled: message.canceled, compactRevision: Revision(message.compactRevision),
            cancelReason: message.cancelReason, isFragment: message.fragment,
            changes: message.events.map { event in
                event.type == .delete
                    ? .delete(key: Array(event.kv.key), Revision(event.kv.modRevision)) : .put(KeyValue(event.kv))
            })
    }
}
