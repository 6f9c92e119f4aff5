// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import TestSupport
import Testing

@testable import Etcd

/// What a member knows of the cluster's history, beside what we know.
@Suite(.timeLimit(.minutes(1))) struct FakeHistoryTests {
    /// Watches from revision 101 on a cluster at 100, breaks the connection, and has `change` say what answers then.
    private func afterReconnect(
        _ change: @escaping @Sendable (inout FakeMember.Script) -> Void,
        _ body: (FakeMember, EtcdClient, WatchEvents) async throws -> Void
    ) async throws {
        try await withFake(prepare: { member in
            member.change {
                $0.revision = 100
                $0.range = { member, request in
                    member.rangeResponse([.kv("/a/old", 40)], of: request)
                }
            }
        }) { fake, client in
            _ = try await client.get("/a/old")
            try await client.withWatch(.prefix("/a/"), from: Revision(101)) { events in
                _ = try await fake.member.watch().create()
                fake.member.change(change)
                fake.cut()
                try await body(fake.member, client, events)
            }
        }
    }

    /// A watch on a revision to come is accepted and silent: whoever just created it anew would be deaf for ever.
    @Test func aMemberRestoredFromAnOlderStateBringsAReset() async throws {
        let begun = ContinuousClock.now
        try await afterReconnect({ $0.revision = 50 }) { member, client, events in
            var iterator = events.makeAsyncIterator()
            let event = try await iterator.next()
            #expect(event?.described == "reset 50: /a/old")
            let took = begun.duration(to: .now)
            report(took, "an older state is noticed", promise: .seconds(3))
            #expect(took >= .seconds(2), "a member that lags gets 2 s")
            #expect(client.knowledge.resyncs == 1 && client.knowledge.revision == Revision(50))
            let stream = try await member.watch(1)
            #expect(try await stream.create().startRevision == 51)
            #expect(stream.creates.count == 1, "the old revision was not asked for")
        }
    }

    @Test func aMemberThatCatchesUpIsWaitedFor() async throws {
        let asked = Recorder<Void>()
        try await afterReconnect({
            $0.revision = 90
            $0.onStatus = { member in
                asked.record(())
                if asked.all.count == 2 { member.change { $0.revision = 100 } }
            }
        }) { member, client, events in
            let stream = try await member.watch(1)
            let create = try await stream.create()
            #expect(create.startRevision == 101)
            stream.send(member.events(create.watchID, [.put("/a/new", 101)]))
            var iterator = events.makeAsyncIterator()
            let event = try await iterator.next()
            #expect(event?.described == "101: +/a/new", "no reset")
            #expect(client.knowledge.resyncs == 0 && asked.all.count == 2)
        }
    }

    @Test func anotherClusterBringsAResetAtOnce() async throws {
        let asked = Recorder<Void>()
        try await afterReconnect({
            $0.clusterID = 0xc2
            $0.revision = 50
            $0.onStatus = { _ in asked.record(()) }
        }) { _, client, events in
            var iterator = events.makeAsyncIterator()
            let event = try await iterator.next()
            #expect(event?.described == "reset 50: /a/old")
            #expect(asked.all.count == 1, "nothing to wait for")
            #expect(client.knowledge.resyncs == 1 && client.knowledge.clusterID == 0xc2)
        }
    }

    @Test func aLowerTermBringsAResetToo() async throws {
        try await afterReconnect({
            $0.term = 1
            $0.revision = 100
        }) { _, client, events in
            var iterator = events.makeAsyncIterator()
            let event = try await iterator.next()
            #expect(event?.described == "reset 100: /a/old")
            #expect(client.knowledge.resyncs == 1)
        }
    }

    @Test func aWatchOnARevisionToComeBeginsWithAReset() async throws {
        try await withFake { fake, client in
            _ = try await client.get("/a")
            try await client.withWatch(.prefix("/a/"), from: Revision(500)) { events in
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "reset 10:")
                #expect(try await fake.member.watch().create().startRevision == 11)
            }
        }
    }
}
