// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import TestSupport
import Testing

@testable import Etcd

/// The only endpoint there is, in trouble: there is nowhere else to go.
@Suite(.timeLimit(.minutes(1))) struct FakeAloneTests {
    private static let noLeader = RPCError.unavailable("etcdserver: no leader")

    /// It may still answer reads that need no leader.
    @Test func aMemberWithoutALeaderIsUsed() async throws {
        try await withFake(prepare: { $0.change { $0.leader = 0 } }) { fake, client in
            _ = try await client.list(.prefix("/a"), consistency: .serializable)
            #expect(fake.member.ranges.all.map(\.serializable) == [true])
        }
    }

    /// F3 for a client that knows one member: what it knows is stale, and it keeps to its connection.
    @Test(.row("F3")) func theLossOfTheLeaderIsToldAndTheConnectionKept() async throws {
        let log = LogRecorder()
        try await withFake(log: log) { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let first = try await fake.member.watch()
                _ = try await first.create()
                fake.member.change {
                    $0.leader = 0
                    $0.watch = { _, _, stream in stream.end(Self.noLeader) }
                }
                first.end(Self.noLeader)
                try await eventually("stale without a leader is told", within: .seconds(1)) {
                    log.count(of: "knowledge is stale") == 1 && client.knowledge.staleSince != nil
                }
                // It is asked again and again, by the watch and for its leader, on the one connection.
                _ = try await fake.member.watch(3)
                #expect(client.knowledge.reconnects == 0)
                #expect(log.count(of: "knowledge is fresh again") == 0)
                let good = Recorder<FakeWatch>()
                fake.member.change {
                    $0.leader = 1
                    $0.watch = { member, request, stream in
                        FakeMember.Script().watch(member, request, stream)
                        good.record(stream)
                    }
                }
                try await eventually("fresh with a leader is told", within: .seconds(1)) {
                    log.count(of: "knowledge is fresh again") == 1 && client.knowledge.staleSince == nil
                }
                let stream = try await good.first(1, "good watch streams")[0]
                stream.send(fake.member.events(try await stream.create().watchID, [.put("/a/1", 11)]))
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "11: +/a/1")
                #expect(client.knowledge.reconnects == 0 && log.count(of: "knowledge is stale") == 1)
            }
        }
    }
}
