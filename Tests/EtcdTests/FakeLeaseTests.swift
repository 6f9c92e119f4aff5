// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import Etcd

/// Leases that end otherwise than their holder expects.
@Suite(.timeLimit(.minutes(1))) struct FakeLeaseTests {
    /// Grants lease 1, 2 and so on, each for `ttl` seconds.
    private func grants(_ ttl: Int64) -> (FakeMember) -> Void {
        let given = Recorder<Void>()
        return { member in
            member.change {
                $0.grant = { _ in
                    given.record(())
                    return (Int64(given.all.count), ttl)
                }
            }
        }
    }

    /// An old leader revokes what lives: the next keepalive is answered with a time to live of 0, which is no error.
    @Test(.row("E5")) func aLeaseThatTheServerRevokedIsReplacedWithItsKeys() async throws {
        let written = Recorder<Int64>()
        try await withFake(prepare: { member in
            grants(9)(member)
            member.change {
                $0.keepAlive = { $0 == 1 ? 0 : 9 }
                $0.txn = { member, request in
                    written.record(request.success.first?.requestPut.lease ?? 0)
                    return .with { $0.header = member.header }
                }
            }
        }) { _, client in
            try await client.withLease(timeToLive: .seconds(9)) { keeper in
                var lostAt: ContinuousClock.Instant?
                var seen: [String] = []
                for await event in keeper.events {
                    switch event {
                    case .granted(let lease, let timeToLive):
                        seen.append("granted \(lease) \(timeToLive.inSeconds)")
                        try await client.put("/a/1", [], lease: lease)
                    case .lost(let lease):
                        seen.append("lost \(lease)")
                        lostAt = .now
                    }
                    if seen.count == 3 { break }
                }
                #expect(seen == ["granted 1 9.0", "lost 1", "granted 2 9.0"])
                #expect(written.all == [1, 2])
                let took = try #require(lostAt).duration(to: .now)
                report(took, "a revoked lease is replaced, its key written", promise: .seconds(1))
                #expect(took < .seconds(3))
            }
        }
    }

    @Test func aLeaseThatNobodyConfirmsIsAskedForOnceMoreAndThenLost() async throws {
        try await withFake(prepare: { member in
            grants(2)(member)
            member.change { $0.keepAlive = { _ in nil } }
        }) { fake, client in
            // The time of the lease counts from the question for it, which is not before this.
            let begun = ContinuousClock.now
            try await client.withLease(timeToLive: .seconds(2)) { keeper in
                var iterator = keeper.events.makeAsyncIterator()
                #expect(await iterator.next() == .granted(LeaseID(1), timeToLive: .seconds(2)))
                #expect(await iterator.next() == .lost(LeaseID(1)))
                let took = begun.duration(to: .now)
                #expect(took >= .seconds(2) && took < .seconds(9))
                report(took, "a lease of 2 s that nobody confirms is given up", promise: .seconds(3))
                // The question at the end came by itself, on a stream with that one request.
                try await waitFor("the end of a stream with the last question alone") {
                    fake.member.keepAlives.all.contains { $0.requests.all.count == 1 && $0.isOver }
                }
                #expect(await iterator.next() == .granted(LeaseID(2), timeToLive: .seconds(2)))
            }
        }
    }

    /// As after a pause of this process, or of etcd's leader: the lease may live although its time is over.
    @Test(.row("F22")) func aLeaseWhoseTimeIsOverLivesOnWhenTheServerSaysSo() async throws {
        let silentUntil = Mutex<ContinuousClock.Instant?>(nil)
        let confirmed = Recorder<Int64>()
        try await withFake(prepare: { member in
            member.change {
                $0.grant = { _ in (1, 2) }
                $0.keepAlive = { lease in
                    guard let end = silentUntil.withLock({ $0 }), ContinuousClock.now >= end else { return nil }
                    confirmed.record(lease)
                    return 2
                }
            }
        }) { fake, client in
            // The client reckons from its question for the lease, which is not before this: when it asks once more, at
            // the end of the lease, it is answered.
            silentUntil.withLock { $0 = .now + .seconds(2) }
            try await client.withLease(timeToLive: .seconds(2)) { keeper in
                var iterator = keeper.events.makeAsyncIterator()
                #expect(await iterator.next() == .granted(LeaseID(1), timeToLive: .seconds(2)))
                _ = try await confirmed.first(2, "keepalives that were answered")
                #expect(keeper.lease == LeaseID(1))
                #expect(fake.member.count(of: "LeaseGrant") == 1)
            }
        }
    }

    @Test func aMemberThatLeavesKeepalivesUnansweredIsLeft() async throws {
        try await withFakes(
            2,
            prepare: { members in
                for member in members { member.change { $0.grant = { _ in (1, 9) } } }
                members[0].change { $0.keepAlive = { _ in nil } }
            }
        ) { fakes, client in
            try await client.withLease(timeToLive: .seconds(9)) { keeper in
                _ = try await fakes[0].member.keepAlives.first(1, "keepalive streams")
                try await eventually("another member is asked to keep the lease", within: .seconds(3)) {
                    fakes[1].member.keepAlives.all.contains { !$0.requests.all.isEmpty }
                }
                #expect(keeper.lease == LeaseID(1))
                #expect(fakes.allSatisfy { $0.member.keepAlives.all.allSatisfy(\.requiresLeader) })
            }
        }
    }
}
