// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

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
    let slot = Slot<EtcdConnection>("connection to etcd")
    /// The same, or while there is none, one to a member that has no leader: for reads that any member may answer.
    let readable = Slot<EtcdConnection>("connection to a member")
    let unconfirmedReads = Mutex(UnconfirmedReads())
    let watches: WatchMultiplexer
    let knowledgeState = Mutex(KnowledgeStateMachine())
    let book: Mutex<EndpointBook>
    let tlsFiles: TLSFiles
    /// Doublings of the PING interval that servers have asked for.
    let calm = Mutex(0)
    private let greeted = AsyncStream.makeStream(of: MemberStatus.self, bufferingPolicy: .bufferingNewest(1))

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
        let first = Int.random(in: configuration.endpoints.indices)
        book = Mutex(EndpointBook(seeds: configuration.endpoints, first: first))
        watches = WatchMultiplexer(configuration)
        tlsFiles = TLSFiles(configuration.tls ?? EtcdTLS())
    }

    /// How fresh what we know is.
    public var knowledge: Knowledge { knowledgeState.withLock { $0.knowledge } }

    /// What each member said of itself when it was connected to, the newest alone kept for who comes late. One consumer.
    /// Ends with `run()`.
    public var greetings: AsyncStream<MemberStatus> { greeted.stream }

    /// Keeps the connection and the watches alive until cancelled.
    /// - Throws: `.configuration` at once when the TLS files cannot be used; nothing that waiting could mend.
    public func run() async throws {
        defer { greeted.continuation.finish() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.keepConnected() }
            group.addTask { await self.watches.run(on: self) }
            if configuration.tls != nil { group.addTask { try await self.followFiles() } }
            if let interval = configuration.memberSyncInterval {
                group.addTask { try await self.followMembers(every: interval) }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Takes a connection into use.
    func use(_ connection: EtcdConnection) {
        slot.put(connection)
        readable.put(connection)
    }

    /// No call is to begin on the connection of the moment. - Parameter failure: the reason; nil keeps the last one.
    func drop(after failure: EtcdError?) {
        slot.clear(after: failure)
        readable.clear(after: failure)
    }

    /// Ends a connection although its transport is fine: the next call is to meet another member, not this one again.
    func leave(_ connection: EtcdConnection, after failure: EtcdError? = nil) {
        for slot in [slot, readable] { slot.clear(after: failure) { $0.tokens === connection.tokens } }
        connection.abandon()
    }

    func greeted(_ status: MemberStatus) { greeted.continuation.yield(status) }

    /// Waits as long as the backoff says after so many failures in a row, for at most `limit`. - Throws: only when cancelled.
    func pause(afterAttempt attempt: Int, within limit: Duration? = nil) async throws {
        let delay = configuration.backoff.delay(afterAttempt: attempt, random: .random(in: 0..<1))
        try await Task.sleep(for: limit.map { min($0, delay) } ?? delay)
    }

    func heard(revision: Int64) {
        knowledgeState.withLock { $0.heard(revision: Revision(revision), now: .now) }
    }

    func relisted() { knowledgeState.withLock { $0.relisted() } }

    func callOptions(timeout: Duration?) -> CallOptions { Self.callOptions(configuration, timeout: timeout) }

    static func callOptions(_ configuration: EtcdConfiguration, timeout: Duration?) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = timeout
        // The transport takes its limit for *received* messages from the request's option (2.9.2).
        options.maxRequestMessageBytes = configuration.maximumMessageBytes
        options.maxResponseMessageBytes = configuration.maximumMessageBytes
        return options
    }
}
