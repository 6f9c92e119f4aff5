// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
public import Logging
internal import Synchronization

/// A client of an etcd v3 cluster over gRPC. It knows keys, leases and watches, and nothing of what they mean.
///
/// It does nothing until its `run()` is active: calls made before wait for their deadline.
///
///     let client = try EtcdClient(configuration: .init(endpoints: [endpoint]), logger: logger)
///     async let running: Void = client.run()
///     let listing = try await client.list(.prefix("/services/"))
///
/// One connection at a time, to one of the endpoints; when it is lost, or its member has lost its leader, the next one
/// is tried, with jittered backoff after each round. Watches and leases survive that; calls fail with an error that says
/// whether trying again can help.
///
/// ## Concurrency
/// Safe from any task. State machines under mutexes: decided under the lock, carried out outside it.
public final class EtcdClient: Sendable {
    let configuration: EtcdConfiguration
    let logger: Logger
    let slot = ConnectionSlot()
    let watches = WatchMultiplexer()
    private let knowledgeState = Mutex(KnowledgeStateMachine())

    /// - Throws: `.configuration` when there is no endpoint or half a client certificate.
    public init(configuration: EtcdConfiguration, logger: Logger) throws(EtcdError) {
        guard !configuration.endpoints.isEmpty else {
            throw EtcdError(.configuration, "no etcd endpoint given; allowed: \(EtcdEndpoint.allowedForm)")
        }
        if let tls = configuration.tls, (tls.certificateFile == nil) != (tls.privateKeyFile == nil) {
            throw EtcdError(.configuration, "a client certificate needs both its file and its key's file")
        }
        self.configuration = configuration
        self.logger = logger
    }

    /// How fresh what we know is.
    public var knowledge: Knowledge { knowledgeState.withLock { $0.knowledge } }

    /// Keeps the connection, the watches and nothing else alive until cancelled.
    /// - Throws: `.configuration` at once when the TLS files cannot be used; nothing that waiting could mend.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.keepConnected() }
            group.addTask { await self.watches.run(on: self) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func keepConnected() async throws {
        let endpoints = configuration.endpoints
        var index = Int.random(in: endpoints.indices)
        var failuresInARow = 0
        while !Task.isCancelled {
            let wasReady = Mutex(false)
            var failure: EtcdError?
            do {
                try await EtcdConnection.run(to: endpoints[index], configuration: configuration) { connection in
                    try await self.greet(connection)
                    wasReady.withLock { $0 = true }
                }
            } catch is CancellationError {
                break
            } catch {
                failure = EtcdError(error, during: "connection to \(endpoints[index])")
            }
            slot.clear(after: failure)
            if Task.isCancelled { break }
            if let failure, failure.code == .configuration { throw failure }
            if wasReady.withLock({ $0 }) {
                knowledgeState.withLock { $0.disconnected(now: .now) }
                failuresInARow = 0
            } else {
                failuresInARow += 1
                let isRoundOver = failuresInARow >= endpoints.count
                let action = knowledgeState.withLock { $0.failed(isRoundOver: isRoundOver, now: .now) }
                tell(action, failure: failure, endpoint: endpoints[index])
            }
            index = (index + 1) % endpoints.count
            // The other members first, without patience; a round without success earns a longer wait. The shortest one
            // is always kept, so that a member which accepts and closes cannot make us spin.
            let roundsDone = failuresInARow / endpoints.count
            try? await pause(afterAttempt: roundsDone)
        }
    }

    /// The first question on a connection: who are you, do you have a leader, which history do you keep?
    private func greet(_ connection: EtcdConnection) async throws {
        let status: MemberStatus
        do {
            status = try await connection.status(options: callOptions(timeout: configuration.connectTimeout))
        } catch let error as EtcdError where error.code == .permissionDenied || error.code == .unauthenticated {
            // The member is there and speaks; what we may do will show with each call.
            slot.put(connection)
            return
        }
        if status.leader == 0, configuration.endpoints.count > 1 {
            throw EtcdError(.unavailable, "\(connection.endpoint) has no leader")
        }
        let (action, isHistoryBroken) = knowledgeState.withLock {
            $0.connected(clusterID: status.clusterID, revision: status.revision, now: .now)
        }
        if isHistoryBroken { watches.historyBroke() }
        slot.put(connection)
        tell(action, failure: nil, endpoint: connection.endpoint)
        logger.debug("connected", metadata: ["endpoint": "\(connection.endpoint)", "version": "\(status.version)"])
    }

    private func tell(_ action: KnowledgeStateMachine.Action, failure: EtcdError?, endpoint: EtcdEndpoint) {
        switch action {
        case .none: break
        case .tellStale:
            let age = knowledge.staleSince.map { $0.duration(to: .now) } ?? .zero
            logger.warning(
                "knowledge is stale",
                metadata: [
                    "since": "\(WallClock.timestamp(ago: age))", "endpoint": "\(endpoint)",
                    "error": "\(failure?.message ?? "connection closed")",
                ])
        case .tellFresh(let outage):
            logger.info(
                "knowledge is fresh again",
                metadata: ["endpoint": "\(endpoint)", "after": "\(outage.components.seconds) s"])
        }
    }

    /// Waits as long as the backoff says after so many failures in a row. - Throws: only when cancelled.
    func pause(afterAttempt attempt: Int) async throws {
        try await Task.sleep(for: configuration.backoff.delay(afterAttempt: attempt, random: .random(in: 0..<1)))
    }

    func heard(revision: Int64) {
        knowledgeState.withLock { $0.heard(revision: Revision(revision), now: .now) }
    }

    func callOptions(timeout: Duration?) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = timeout
        // The transport takes its limit for *received* messages from the request's option (2.9.2).
        options.maxRequestMessageBytes = configuration.maximumMessageBytes
        options.maxResponseMessageBytes = configuration.maximumMessageBytes
        return options
    }
}
