// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Etcd

/// Members that cannot be used, and members that say so.
@Suite(.timeLimit(.minutes(1))) struct FakeFailoverTests {
    @Test func callsAndWatchesGoOnAfterAGoAway() async throws {
        try await withFakes(2, configure: { $0.goAwayGrace = .seconds(3) }) { fakes, client in
            let (old, new) = (fakes[0].member, fakes[1].member)
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await old.watch()
                stream.send(old.events(try await stream.create().watchID, [.put("/a/1", 11)]))
                var iterator = events.makeAsyncIterator()
                let first = try await iterator.next()
                #expect(first?.described == "11: +/a/1")
                for member in [old, new] { member.change { $0.revision = 12 } }
                // What is under way is answered by the member that goes.
                old.change {
                    $0.range = { member, request in
                        member.change { $0.leader = 9 }
                        try await waitFor("GOAWAY was said") { member.script.leader == 8 }
                        return member.rangeResponse([.kv("/a/1", 11)], of: request)
                    }
                }
                async let underWay = client.get("/a/1")
                try await waitFor("a call under way") { old.script.leader == 9 }
                let oldEndpoint = try await fakes[0].endpoint
                fakes[0].sayGoAway()
                try await waitFor("GOAWAY is heard") { client.slot.current?.endpoint != oldEndpoint }
                // What begins now waits for the next member, although the old connection still stands.
                async let later = client.get("/a/9")
                old.change { $0.leader = 8 }
                let answer = try await underWay
                #expect(answer?.modRevision == Revision(11))
                let nothing = try await later
                #expect(nothing == nil && old.count(of: "Range") == 1 && new.count(of: "Range") == 1)
                let next = try await new.watch()
                let create = try await next.create()
                #expect(create.startRevision == 12)
                next.send(new.events(create.watchID, [.put("/a/2", 12)]))
                let second = try await iterator.next()
                #expect(second?.described == "12: +/a/2")
                try await client.put("/a/3", [])
                #expect(old.count(of: "Txn") == 0 && new.count(of: "Txn") == 1)
            }
        }
    }

    @Test func aMemberWithoutALeaderIsPassedOver() async throws {
        try await withFakes(2, prepare: { $0[0].change { $0.leader = 0 } }) { fakes, client in
            _ = try await client.get("/a")
            #expect(fakes[0].member.count(of: "Status") >= 1 && fakes[0].member.count(of: "Range") == 0)
            #expect(fakes[1].member.count(of: "Range") == 1)
        }
    }

    /// As where two of three are gone. Without it, who asks again and again would never meet the member.
    @Test func aMemberWithoutALeaderAnswersWhatAnyMemberMay() async throws {
        try await withFakes(
            2, configure: { $0.pageSize = 1 },
            prepare: { members in
                for member in members {
                    member.change {
                        $0.leader = 0
                        $0.range = { member, request in
                            request.revision == 0
                                ? member.rangeResponse([.kv("/a/1", 1)], of: request, isMore: true)
                                : member.rangeResponse([.kv("/a/2", 2)], of: request)
                        }
                    }
                }
            }
        ) { fakes, client in
            for _ in 0..<3 {
                let known = try await client.list(.prefix("/a/"), consistency: .serializable)
                #expect(known.keyValues.count == 2)
            }
            #expect(client.slot.current == nil, "nobody else is to ask it")
            #expect(fakes.allSatisfy { $0.member.ranges.all.allSatisfy(\.serializable) })
        }
    }

    @Test func aWatchStreamThatEndsWithoutALeaderGoesToTheNextMember() async throws {
        try await withFakes(2) { fakes, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await fakes[0].member.watch()
                _ = try await stream.create()
                let begun = ContinuousClock.now
                stream.end(.unavailable("etcdserver: no leader"))
                let next = try await fakes[1].member.watch()
                report(begun.duration(to: .now), "another member after 'no leader'", promise: .seconds(1))
                #expect(try await next.create().startRevision == 11)
                #expect(fakes[0].member.watches.all.count == 1)
            }
        }
    }

    @Test func aCallThatFindsNoLeaderIsAskedOfTheNextMember() async throws {
        try await withFakes(
            2, prepare: { $0[0].change { $0.range = { _, _ in throw RPCError.unavailable("etcdserver: no leader") } } }
        ) { fakes, client in
            _ = try await client.get("/a")
            #expect(fakes[0].member.count(of: "Range") == 1 && fakes[1].member.count(of: "Range") == 1)
        }
    }

    @Test func membersThatTheClusterNamedAreUsedWhenTheSeedDies() async throws {
        try await withFakes(
            2,
            configure: {
                $0.endpoints.removeLast()
                $0.memberSyncInterval = .milliseconds(100)
            }
        ) { fakes, client in
            let urls = ["\(try await fakes[0].endpoint)", "\(try await fakes[1].endpoint)"]
            fakes[0].member.change {
                $0.members = {
                    urls.enumerated().map { index, url in
                        .with {
                            $0.id = UInt64(index + 1)
                            $0.name = "m\(index)"
                            $0.clientUrls = [url]
                        }
                    }
                }
            }
            let before = fakes[0].member.count(of: "MemberList")
            try await waitFor("the members are learned") { fakes[0].member.count(of: "MemberList") > before + 1 }
            fakes[0].stop()
            _ = try await client.get("/a")
            #expect(fakes[1].member.count(of: "Range") == 1)
        }
    }

    @Test func aLearnerIsPassedOver() async throws {
        try await withFakes(2, prepare: { $0[0].change { $0.isLearner = true } }) { fakes, client in
            _ = try await client.get("/a")
            #expect(fakes[0].member.count(of: "Status") >= 1 && fakes[0].member.count(of: "Range") == 0)
            #expect(fakes[1].member.count(of: "Range") == 1)
        }
    }

    /// One that 3.6 does not let us ask: how it says so has changed, what it means has not.
    @Test(arguments: [RPCError.Code.unavailable, .failedPrecondition])
    func whoeverSaysThatItIsALearnerIsLeft(code: RPCError.Code) async throws {
        try await withFakes(
            2, configure: { $0.credentials = .init(user: "u", password: .literal("p")) },
            prepare: { members in
                members[1].giveTokens()
                members[0].change {
                    $0.authenticate = { _ in
                        throw RPCError(code: code, message: "etcdserver: rpc not supported for learner")
                    }
                }
            }
        ) { fakes, client in
            _ = try await client.get("/a")
            #expect(fakes[0].member.authentications.all.count == 1 && fakes[1].member.count(of: "Range") == 1)
        }
    }

    @Test func aMemberThatIsTooOldIsPassedOver() async throws {
        try await withFakes(
            2, configure: { $0.minimumVersion = EtcdVersion("3.5.0") },
            prepare: {
                $0[0].change { $0.version = "3.4.42" }
            }
        ) { fakes, client in
            _ = try await client.get("/a")
            #expect(fakes[0].member.count(of: "Range") == 0 && fakes[1].member.count(of: "Range") == 1)
            #expect(client.knowledge.version == EtcdVersion("3.5.16"))
        }
    }
}
