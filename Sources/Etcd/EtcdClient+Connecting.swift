// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Logging
internal import Synchronization

extension EtcdClient {
    /// One connection after another, until cancelled.
    func keepConnected() async throws {
        var failures = FailureRow()
        while !Task.isCancelled {
            let endpoint = book.withLock { $0.current }
            let readySince = Mutex<ContinuousClock.Instant?>(nil)
            var failure: EtcdError?
            do {
                let owner = EtcdConnection.Owner { connection in
                    try await self.greet(connection)
                    readySince.withLock { $0 = .now }
                } follow: { connection, doubts in
                    try await self.followLeader(of: connection, doubts)
                }
                try await EtcdConnection.run(to: endpoint, making, owner)
            } catch is CancellationError {
                break
            } catch {
                failure = EtcdError(error, during: "connection to \(endpoint)")
            }
            drop(after: failure)
            if Task.isCancelled { break }
            if let failure, failure.code == .configuration { throw failure }
            let endpoints = book.withLock { $0.count }
            let since = readySince.withLock { $0 }
            failures.ended(wasGood: since != nil, lived: since?.duration(to: .now) ?? .zero)
            if since != nil {
                knowledgeState.withLock { $0.disconnected(now: .now) }
            } else {
                let isRoundOver = failures.count >= endpoints
                let action = knowledgeState.withLock { $0.failed(isRoundOver: isRoundOver, now: .now) }
                tell(action, failure: failure, endpoint: endpoint)
            }
            book.withLock { $0.advance() }
            // The other members first, without patience; a round without success earns a longer wait. There is always
            // some, by chance up to the shortest.
            try? await pause(afterAttempt: failures.count / endpoints)
        }
    }

    private var making: EtcdConnection.Making {
        let doublings = calm.withLock { $0 }
        return EtcdConnection.Making(
            configuration: configuration, tls: tlsFiles, keepaliveTime: configuration.keepaliveTime * (1 << doublings),
            logger: logger, onCalm: { [self] in pingLess() }, onLeaving: { [self] in drop(after: nil) })
    }

    private func pingLess() {
        let now = calm.withLock { calm in
            calm = min(calm + 1, Self.mostDoublings)
            return calm
        }
        logger.warning(
            "etcd asks for fewer pings",
            metadata: ["interval": "\((configuration.keepaliveTime * (1 << now)).components.seconds) s"])
    }

    /// 10 s become at most 320: far beyond what any server demands (etcd: 5 s; gRPC's default: 5 min).
    private static let mostDoublings = 5

    // MARK: - Greeting

    /// The first question on a connection: who are you, do you have a leader, which history do you keep?
    private func greet(_ connection: EtcdConnection) async throws {
        try await awaitToken(of: connection)
        var status: MemberStatus
        do {
            status = try await caughtUpStatus(of: connection)
        } catch let error as EtcdError where error.code == .permissionDenied || error.code == .unauthenticated {
            // The member is there and speaks; what we may do will show with each call.
            let action = knowledgeState.withLock { $0.connected(nil, now: .now).action }
            use(connection)
            return tell(action, failure: nil, endpoint: connection.endpoint)
        }
        try checkVersion(status, of: connection.endpoint)
        if status.leader == 0, hasAlternatives {
            // What is read from it meanwhile is no news.
            knowledgeState.withLock { $0.disconnected(now: .now) }
            // It may have found a leader since.
            if try await answerReaders(on: connection) { status = try await caughtUpStatus(of: connection) }
        }
        try checkRole(status, of: connection.endpoint)
        let (action, isHistoryBroken) = knowledgeState.withLock { $0.connected(status, now: .now) }
        if status.leader == 0 { connection.doubtLeader() }
        if isHistoryBroken {
            logger.warning(
                "another history: everything is listed anew",
                metadata: [
                    "endpoint": "\(connection.endpoint)", "cluster": "\(String(status.clusterID, radix: 16))",
                    "revision": "\(status.revision)",
                ])
            watches.historyBroke()
        }
        use(connection)
        greeted(status)
        tell(action, failure: nil, endpoint: connection.endpoint)
        logger.debug("connected", metadata: ["endpoint": "\(connection.endpoint)", "version": "\(status.version)"])
    }

    /// A member may lag behind the one that we knew; one that was restored does not catch up.
    private func caughtUpStatus(of connection: EtcdConnection) async throws -> MemberStatus {
        let end = ContinuousClock.now + Self.catchUpLimit
        while true {
            let status = try await connection.status(options: callOptions(timeout: configuration.connectTimeout))
            guard knowledgeState.withLock({ $0.isOlder(status) }), ContinuousClock.now < end else { return status }
            try await Task.sleep(for: Self.catchUpInterval)
        }
    }

    /// A user that is refused is the operator's to mend: until then calls fail at once, and say why.
    private func awaitToken(of connection: EtcdConnection) async throws {
        while try await isRefused(connection) {
            use(connection)
            try await Task.sleep(for: Self.refusedTokenInterval)
        }
    }

    private func isRefused(_ connection: EtcdConnection) async throws -> Bool {
        do {
            _ = try await connection.tokens.value(within: configuration.connectTimeout, for: "authentication")
            return false
        } catch {
            guard error.code == .unauthenticated || error.code == .permissionDenied else { throw error }
            return true
        }
    }

    private static let refusedTokenInterval = Duration.milliseconds(200)

    /// What a follower gets to reach the revision that another member has told us of. Followers are milliseconds behind;
    /// beyond that, listing anew is cheap and right.
    private static let catchUpLimit = Duration.seconds(2)
    private static let catchUpInterval = Duration.milliseconds(100)

    private func checkRole(_ status: MemberStatus, of endpoint: EtcdEndpoint) throws(EtcdError) {
        // Alone, either may still answer what any member may.
        if hasAlternatives, status.leader == 0 { throw EtcdError(.unavailable, "\(endpoint) has no leader") }
        if hasAlternatives, status.isLearner { throw EtcdError(.unavailable, "\(endpoint) is a learner") }
    }

    private func checkVersion(_ status: MemberStatus, of endpoint: EtcdEndpoint) throws(EtcdError) {
        if let minimum = configuration.minimumVersion, EtcdVersion(status.version).map({ $0 < minimum }) ?? true {
            throw EtcdError(
                .unavailable, "\(endpoint) is etcd \(status.version); \(minimum) is the oldest that is used")
        }
    }

    func tell(_ action: KnowledgeStateMachine.Action, failure: EtcdError?, endpoint: EtcdEndpoint) {
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
}
