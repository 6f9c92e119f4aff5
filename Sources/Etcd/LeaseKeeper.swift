// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

internal import EtcdProtos
internal import GRPCCore
internal import Logging
internal import SwiftProtobuf
internal import Synchronization

/// What becomes of a held lease.
public enum LeaseEvent: Hashable, Sendable {
    /// The first lease, or the one that replaces a lost one.
    case granted(LeaseID, timeToLive: Duration)
    /// etcd lost it, or could not be asked until its time was over. Everything on it is gone.
    case lost(LeaseID)
}

/// Keeps one lease after another alive; made by `EtcdClient.withLease`, and lives as long as its body.
///
/// ## Concurrency
/// The state machine is under a mutex; one keepalive stream at a time, opened anew 500 ms after it failed.
public final class LeaseKeeper: Sendable {
    private let client: EtcdClient
    private let timeToLive: Duration
    private let machine = Mutex(LeaseStateMachine())
    private let continuation: AsyncStream<LeaseEvent>.Continuation

    /// Grants and losses in order; one consumer.
    public let events: AsyncStream<LeaseEvent>

    init(client: EtcdClient, timeToLive: Duration) {
        self.client = client
        self.timeToLive = timeToLive
        (events, continuation) = AsyncStream.makeStream()
    }

    /// The lease in force, nil before the first grant and between loss and grant.
    public var lease: LeaseID? { machine.withLock { $0.held?.lease } }

    /// Before a lost lease is replaced, by chance: an etcd that lost the leases of a whole fleet hears of it bit by bit.
    /// Well within the second in which everything is to be there again.
    private static let regrantJitter = Duration.milliseconds(200)
    /// Of the question whether etcd still knows a lease that we think is over.
    private static let recheckLimit = Duration.seconds(1)

    /// An etcd without space (NOSPACE) waits for its operator, and each refusal is an entry of its log.
    private static let outOfSpaceDelay = Duration.seconds(5)

    func run() async {
        var attempt = 0
        while !Task.isCancelled {
            do {
                let before = ContinuousClock.now
                let (lease, granted) = try await client.grantLease(timeToLive: timeToLive)
                attempt = 0
                // Counted from before the question: etcd's clock cannot have started earlier.
                machine.withLock { $0.granted(lease, timeToLive: granted, now: before) }
                continuation.yield(.granted(lease, timeToLive: granted))
                await keepUntilLost()
                try await Task.sleep(for: Self.regrantJitter * Double.random(in: 0..<1))
            } catch {
                attempt += 1
                client.logger.debug("lease not granted", metadata: ["error": "\(error)"])
                if (error as? EtcdError)?.code == .outOfSpace { try? await Task.sleep(for: Self.outOfSpaceDelay) }
                try? await client.pause(afterAttempt: attempt)
            }
        }
        continuation.finish()
    }

    /// Runs keepalive streams until the lease is lost or the task cancelled.
    private func keepUntilLost() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.watchDeadline() }
            group.addTask { await self.keepStreaming() }
            await group.next()
            group.cancelAll()
        }
    }

    /// Returns when the lease in force has outlived its deadline and etcd does not say otherwise, or is gone.
    private func watchDeadline() async {
        while !Task.isCancelled {
            switch machine.withLock({ $0.verdict(now: .now) }) {
            case .none: return
            case .good(let instant): try? await Task.sleep(until: instant, clock: .continuous)
            case .recheck(let lease): await recheck(lease)
            }
        }
    }

    /// Asks once, on a call of its own: the keepalive stream may be the very thing that hangs.
    private func recheck(_ lease: LeaseID) async {
        var lost: LeaseID?
        do {
            let asked = ContinuousClock.now
            let left = try await client.keepAliveOnce(lease, within: Self.recheckLimit)
            lost = machine.withLock { $0.rechecked(lease, timeToLive: left ?? .zero, askedAt: asked, now: .now) }
        } catch {
            guard !Task.isCancelled else { return }
            lost = machine.withLock { $0.recheckFailed(of: lease, now: .now) }
        }
        if let lost { continuation.yield(.lost(lost)) }
    }

    private func keepStreaming() async {
        while !Task.isCancelled, machine.withLock({ $0.held }) != nil {
            do {
                let connection = try await client.slot.connection(within: .seconds(1), for: "lease keepalive")
                machine.withLock { $0.streamOpened(now: .now) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await self.stream(on: connection) }
                    group.addTask { try await self.leaveWhenSilent(connection) }
                    defer { group.cancelAll() }
                    try await group.next()
                }
            } catch {
                client.logger.debug("keepalive stream ended", metadata: ["error": "\(error)"])
            }
            guard machine.withLock({ $0.held }) != nil else { return }
            try? await Task.sleep(for: LeaseStateMachine.repeatAfter)
        }
    }

    /// Leaves a member that does not answer, where there is another.
    private func leaveWhenSilent(_ connection: EtcdConnection) async throws {
        while !machine.withLock({ $0.isUnanswered(now: .now) }) {
            try await Task.sleep(for: LeaseStateMachine.repeatAfter)
        }
        if client.hasAlternatives { client.leave(connection) }
        throw EtcdError(.timedOut, "lease keepalive: no answer from \(connection.endpoint)")
    }

    /// One keepalive stream; returns when it ends or the lease is lost.
    private func stream(on connection: EtcdConnection) async throws {
        let token = connection.tokens.current
        let request = StreamingClientRequest<Etcdserverpb_LeaseKeepAliveRequest>(
            metadata: EtcdClient.requireLeader
        ) { writer in
            try await self.sendKeepAlives(to: writer)
        }
        do {
            try await connection.lease.leaseKeepAlive(
                request: request, options: client.callOptions(timeout: nil)
            ) { response in
                for try await reply in response.messages where self.isLost(by: reply) { return }
            }
        } catch {
            let failure = EtcdError(error, during: "lease keepalive")
            client.heed(failure, of: connection, token)
            throw failure
        }
    }

    private func isLost(by reply: Etcdserverpb_LeaseKeepAliveResponse) -> Bool {
        client.heard(revision: reply.header.revision)
        let lost = machine.withLock {
            $0.answered(LeaseID(reply.id), timeToLive: .seconds(reply.ttl), now: .now)
        }
        if let lost { continuation.yield(.lost(lost)) }
        return lost != nil
    }

    private func sendKeepAlives(to writer: RPCWriter<Etcdserverpb_LeaseKeepAliveRequest>) async throws {
        // A new stream asks at once: what the last one asked may never have been answered.
        if let lease { try await writer.write(.with { $0.id = lease.rawValue }) }
        while true {
            switch machine.withLock({ $0.next(now: .now) }) {
            case .grant: return
            case .keepAlive(let lease): try await writer.write(.with { $0.id = lease.rawValue })
            case .wait(let instant): try await Task.sleep(until: instant, clock: .continuous)
            }
        }
    }
}

extension EtcdClient {
    /// Asks the member to refuse or end the stream when it has no leader, instead of being silent
    /// (clientv3.WithRequireLeader).
    static var requireLeader: Metadata { ["hasleader": "true"] }
}
