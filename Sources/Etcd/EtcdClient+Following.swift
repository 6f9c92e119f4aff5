// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import Logging
internal import Synchronization

/// What changes while we are connected.
extension EtcdClient {
    /// A member that is the only one is kept without a leader: asked, once that is in doubt, until it knows one again.
    /// - Returns: when cancelled.
    func followLeader(of connection: EtcdConnection, _ doubts: AsyncStream<Void>) async throws {
        for await _ in doubts {
            while true {
                guard let status = try await leadership(of: connection) else { break }
                let action = knowledgeState.withLock { $0.asked(hasLeader: status.leader != 0, now: .now) }
                tell(action, failure: EtcdError(.unavailable, "no leader"), endpoint: connection.endpoint)
                if status.leader != 0 { break }
                try await Task.sleep(for: Self.leaderInterval)
            }
        }
    }

    /// - Returns: nil when we may not know it.
    private func leadership(of connection: EtcdConnection) async throws -> MemberStatus? {
        do {
            return try await connection.status(options: callOptions(timeout: configuration.connectTimeout))
        } catch let error as EtcdError where error.code == .permissionDenied || error.code == .unauthenticated {
            return nil
        }
    }

    /// An election takes 1 to 2 s.
    private static let leaderInterval = Duration.seconds(1)

    /// Looks at the files of TLS; new ones make a new connection, on which everything goes on.
    func followFiles() async throws {
        while true {
            try await Task.sleep(for: configuration.tlsReloadInterval)
            switch tlsFiles.lookAgain() {
            case .unchanged: break
            case .changed: logger.notice("TLS files have changed", metadata: ["connection": "made anew"])
            case .broken(let error):
                logger.error("TLS files cannot be used, the last good ones are kept", metadata: ["error": "\(error)"])
            }
            // Also one that was being made while the files changed.
            if let connection = slot.current, let made = connection.filesGeneration, made != tlsFiles.generation {
                leave(connection)
            }
        }
    }

    /// Learns the members' client URLs now and then.
    func followMembers(every interval: Duration) async throws {
        while true {
            if let members = try? await memberList() { book.withLock { $0.learn(members) } }
            // ±20 %, so that many clients do not ask at once.
            try await Task.sleep(for: interval * Double.random(in: 0.8..<1.2))
        }
    }
}
