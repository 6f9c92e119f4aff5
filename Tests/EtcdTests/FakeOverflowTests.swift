// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import TestSupport
import Testing

@testable import Etcd

/// Consumers that do not take what their watch tells.
@Suite(.timeLimit(.minutes(1))) struct FakeOverflowTests {
    /// Watches with room for ten changes, is told thirty, and has the consumer come back once the watch is cancelled.
    private func afterOverflow(
        _ body: (FakeMember, EtcdClient, FakeWatch, inout WatchEvents.AsyncIterator) async throws -> Void
    ) async throws {
        try await withFake(configure: { $0.watchQueueLimit = 10 }) { fake, client in
            let member = fake.member
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await member.watch()
                let id = try await stream.create().watchID
                for revision in Int64(11)...40 { stream.send(member.events(id, [.put("/a/\(revision)", revision)])) }
                member.change {
                    $0.revision = 40
                    $0.range = { $0.rangeResponse([.kv("/a/40", 40)], of: $1) }
                }
                try await waitFor("the watch is cancelled on the server") {
                    stream.requests.all.contains { $0.cancelRequest.watchID == id }
                }
                // What the server said before it heard of that is no concern of the queue's either.
                try await waitFor("everything has come") { client.knowledge.revision == Revision(40) }
                var iterator = events.makeAsyncIterator()
                try await body(member, client, stream, &iterator)
            }
        }
    }

    @Test(.row("F19")) func aConsumerThatSleepsCostsAListingWhenItWakes() async throws {
        try await afterOverflow { member, client, stream, events in
            #expect(member.ranges.all.isEmpty && client.knowledge.relists == 0, "nothing is listed for one that sleeps")
            let reset = try await events.next()
            #expect(reset?.described == "reset 40: /a/40")
            #expect(client.knowledge.relists == 1)
            let again = try await stream.create(1)
            #expect(again.startRevision == 41, "on the same stream")
            stream.send(member.events(again.watchID, [.put("/a/41", 41)]))
            let next = try await events.next()
            #expect(next?.described == "41: +/a/41")
            #expect(member.ranges.all.count == 1)
        }
    }

    /// etcd#20418: a member that was paused answers a read from what it knew before.
    @Test(.row("E8")) func anOlderListIsAskedForAgain() async throws {
        let asked = Recorder<Void>()
        try await afterOverflow { member, _, stream, events in
            member.change {
                $0.range = { member, request in
                    asked.record(())
                    var response = member.rangeResponse([.kv("/a/40", 40)], of: request)
                    if asked.all.count <= 2 {
                        response.header.revision = 15
                        response.kvs = [.kv("/a/15", 15)]
                    }
                    return response
                }
            }
            let reset = try await events.next()
            #expect(reset?.described == "reset 40: /a/40")
            #expect(asked.all.count == 3)
            #expect(try await stream.create(1).startRevision == 41)
        }
    }
}
