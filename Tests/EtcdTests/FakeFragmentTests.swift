// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import TestSupport
import Testing

@testable import Etcd

/// Revisions that come in pieces.
@Suite(.timeLimit(.minutes(1))) struct FakeFragmentTests {
    /// A revision over three fragments, and another that shares the last one.
    @Test func aRevisionSplitOverFragmentsIsDeliveredWhole() async throws {
        try await withFake { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await fake.member.watch()
                let create = try await stream.create()
                #expect(create.fragment && create.progressNotify && create.startRevision == 11)
                #expect(stream.requiresLeader)
                let id = create.watchID
                stream.send(
                    fake.member.events(id, [.put("/a/1", 11)], at: 12, isFragment: true),
                    fake.member.events(id, [.put("/a/2", 11)], at: 12, isFragment: true),
                    fake.member.events(id, [.delete("/a/3", 11), .put("/a/4", 12)], at: 12))
                var iterator = events.makeAsyncIterator()
                let first = try await iterator.next()
                #expect(first?.described == "11: +/a/1 +/a/2 -/a/3")
                let second = try await iterator.next()
                #expect(second?.described == "12: +/a/4")
            }
        }
    }

    @Test func aRevisionCutInTheMiddleIsAskedForAgain() async throws {
        try await withFake { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let member = fake.member
                let stream = try await member.watch()
                let id = try await stream.create().watchID
                member.change { $0.revision = 13 }
                stream.send(
                    member.events(id, [.put("/a/0", 11)]),
                    member.events(id, [.put("/a/1", 12), .put("/a/2", 13)], at: 13, isFragment: true))
                var iterator = events.makeAsyncIterator()
                let first = try await iterator.next()
                #expect(first?.described == "11: +/a/0")
                // What the client makes of the fragment cannot be seen from here; its header's revision is known after.
                try await waitFor("the fragment has come") { client.knowledge.revision == Revision(13) }
                fake.cut()
                let next = try await member.watch(1)
                let again = try await next.create()
                #expect(again.startRevision == 12, "neither the whole nor a part of the fragment counts")
                next.send(
                    member.events(again.watchID, [.put("/a/1", 12)], at: 13, isFragment: true),
                    member.events(again.watchID, [.put("/a/1b", 12), .put("/a/2", 13), .put("/a/3", 13)]))
                let second = try await iterator.next()
                #expect(second?.described == "12: +/a/1 +/a/1b")
                let third = try await iterator.next()
                #expect(third?.described == "13: +/a/2 +/a/3")
            }
        }
    }
}

extension WatchEvent {
    /// `11: +/a/1 -/a/2`, or `reset 11: /a/1 /a/3`.
    var described: String {
        switch self {
        case .reset(let listing):
            (["reset \(listing.revision):"] + listing.keyValues.map { String(decoding: $0.key, as: UTF8.self) })
                .joined(separator: " ")
        case .changes(let revision, let changes):
            (["\(revision):"]
                + changes.map { change in
                    switch change {
                    case .put(let keyValue): "+" + String(decoding: keyValue.key, as: UTF8.self)
                    case .delete(let key, _): "-" + String(decoding: key, as: UTF8.self)
                    }
                }).joined(separator: " ")
        }
    }
}
