// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Etcd

/// What a watch stream may say, or leave unsaid.
@Suite(.timeLimit(.minutes(1))) struct FakeStreamTests {
    @Test func aStreamOnWhichNothingComesIsOpenedAnew() async throws {
        try await withFake(configure: { $0.watchSilenceLimit = .seconds(1) }) { fake, client in
            let begun = ContinuousClock.now
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { _ in
                _ = try await fake.member.watch().create()
                try await eventually("a silent stream is opened anew", within: .seconds(1)) {
                    fake.member.watches.all.count >= 2
                }
                #expect(begun.duration(to: .now) >= .seconds(1))
                // On a busy machine another second may pass without an answer to the create.
                try await waitFor("the watch is created again") {
                    fake.member.watches.all.dropFirst().contains { $0.creates.first?.startRevision == 11 }
                }
                #expect(fake.member.count(of: "Status") == 1, "the connection is kept")
            }
        }
    }

    /// etcd#15220: a report for all watchers may overtake events.
    @Test(.row("E1")) func onlyAReportToTheWatcherItselfMovesIt() async throws {
        try await withFake { fake, client in
            let member = fake.member
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let first = try await member.watch()
                _ = try await first.create()
                member.change { $0.revision = 50 }
                first.send(member.progress(-1, at: 50))
                try await waitFor("the report for all has come") { client.knowledge.revision == Revision(50) }
                fake.cut()
                let second = try await member.watch(1)
                let again = try await second.create()
                #expect(again.startRevision == 11)
                second.send(member.events(again.watchID, [.put("/a/1", 20)], at: 50))
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "20: +/a/1")
                member.change { $0.revision = 60 }
                second.send(member.progress(again.watchID, at: 60))
                try await waitFor("the report for one has come") { client.knowledge.revision == Revision(60) }
                fake.cut()
                #expect(try await member.watch(2).create().startRevision == 61)
                let all = member.watches.all.flatMap(\.requests.all)
                #expect(
                    !all.contains { if case .progressRequest = $0.requestUnion { true } else { false } },
                    "no report is asked for")
            }
        }
    }

    /// A stream that begins behind what was delivered, or repeats it: etcd#15271, etcd#20221, and simple duplicates.
    @Test(.row("E2", "E3", "E7")) func whatWasDeliveredIsNotDeliveredAgain() async throws {
        try await withFake { fake, client in
            let member = fake.member
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let first = try await member.watch()
                let id = try await first.create().watchID
                member.change { $0.revision = 14 }
                first.send(
                    member.events(id, [.put("/a/1", 11), .put("/a/2", 12)]), member.events(id, [.put("/a/2", 12)]),
                    member.events(id, [.put("/a/0", 5)]), member.events(id, [.put("/a/2", 12), .put("/a/3", 13)]))
                var iterator = events.makeAsyncIterator()
                var seen: [String] = []
                for _ in 0..<3 { seen.append(try await iterator.next()?.described ?? "") }
                fake.cut()
                let second = try await member.watch(1)
                let again = try await second.create()
                #expect(again.startRevision == 14)
                second.send(
                    member.events(again.watchID, [.put("/a/1", 11), .put("/a/3", 13)]),
                    member.events(again.watchID, [.put("/a/4", 14)]))
                seen.append(try await iterator.next()?.described ?? "")
                #expect(seen == ["11: +/a/1", "12: +/a/2", "13: +/a/3", "14: +/a/4"])
            }
        }
    }

    @Test func aCompactedWatchBeginsAgainWithWhatStands() async throws {
        try await withFake { fake, client in
            let member = fake.member
            member.change {
                $0.range = { $0.rangeResponse([.kv("/a/1", 25)], of: $1) }
            }
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await member.watch()
                let id = try await stream.create().watchID
                member.change { $0.revision = 30 }
                stream.send(
                    .with {
                        $0.header = member.header
                        $0.watchID = id
                        $0.canceled = true
                        $0.compactRevision = 20
                    })
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "reset 30: /a/1")
                #expect(try await stream.create(1).startRevision == 31, "on the same stream")
                #expect(client.knowledge.relists == 1)
            }
        }
    }

    /// Many watches, one stream, creates one at a time.
    @Test func aCreateWaitsForTheOneBeforeIt() async throws {
        try await withFake(prepare: { $0.change { $0.watch = { _, _, _ in } } }) { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { _ in
                try await client.withWatch(.prefix("/b/"), from: Revision(11)) { _ in
                    let stream = try await fake.member.watch()
                    let first = try await stream.create()
                    // A call that came and went tells that nothing else was on its way.
                    for _ in 0..<3 { _ = try await client.get("/c") }
                    #expect(stream.creates.count == 1)
                    stream.send(fake.member.created(first))
                    #expect(try await stream.create(1).watchID != first.watchID)
                }
            }
            let stream = try await fake.member.watch()
            try await waitFor("both watches are cancelled on the server") {
                stream.isOver
                    || stream.requests.all.count {
                        if case .cancelRequest = $0.requestUnion { true } else { false }
                    } >= 1
            }
            #expect(fake.member.watches.all.count == 1)
        }
    }

    @Test func tenMebibytesAreTaken() async throws {
        let value = Data(repeating: 7, count: 10 << 20)
        try await withFake(prepare: {
            $0.change { $0.range = { $0.rangeResponse([.kv("/a/1", 10, value: value)], of: $1) } }
        }) { fake, client in
            #expect(try await client.get("/a/1")?.value.count == value.count)
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await fake.member.watch()
                stream.send(fake.member.events(try await stream.create().watchID, [.put("/a/1", 11, value: value)]))
                var iterator = events.makeAsyncIterator()
                guard case .changes(_, let changes) = try await iterator.next(), case .put(let kv) = changes[0] else {
                    Issue.record("no change")
                    return
                }
                #expect(kv.value.count == value.count)
            }
        }
    }
}
