// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import Foundation
import GRPCCore
import TestSupport
import Testing

@testable import Etcd

/// Lists in pages, and what is sent again when it fails.
@Suite(.timeLimit(.minutes(1))) struct FakeListTests {
    private func pagesOfTwo(_ configuration: inout EtcdConfiguration) { configuration.pageSize = 2 }

    private func keys(_ listing: Listing) -> [String] {
        listing.keyValues.map { String(decoding: $0.key, as: UTF8.self) }
    }

    @Test func pagesAreReadAtTheRevisionOfTheFirst() async throws {
        try await withFake(configure: pagesOfTwo) { fake, client in
            fake.member.change {
                $0.range = { member, request in
                    // The cluster goes on while the list is read.
                    member.change { $0.revision += 5 }
                    return request.revision == 0
                        ? member.rangeResponse([.kv("/a/1", 1), .kv("/a/2", 2)], of: request, isMore: true)
                        : member.rangeResponse([.kv("/a/3", 3)], of: request)
                }
            }
            let listing = try await client.list(.prefix("/a/"))
            #expect(keys(listing) == ["/a/1", "/a/2", "/a/3"] && listing.revision == Revision(15))
            let asked = fake.member.ranges.all
            #expect(asked.map(\.revision) == [0, 15] && asked.map(\.limit) == [2, 2])
            #expect(asked[1].key == Data("/a/2".utf8) + [0])
            #expect(asked.allSatisfy { !$0.serializable })
        }
    }

    @Test func aPageThatIsCompactedBeginsTheListAgain() async throws {
        try await withFake(configure: pagesOfTwo) { fake, client in
            fake.member.change {
                $0.range = { member, request in
                    if request.revision == 10 {
                        member.change { $0.revision = 20 }
                        throw RPCError(
                            code: .outOfRange, message: "etcdserver: mvcc: required revision has been compacted")
                    }
                    let key = member.script.revision == 20 ? "/b" : "/a"
                    return request.revision == 0
                        ? member.rangeResponse([.kv(key + "/1", 1), .kv(key + "/2", 2)], of: request, isMore: true)
                        : member.rangeResponse([.kv(key + "/3", 3)], of: request)
                }
            }
            let listing = try await client.list(.prefix("/"))
            #expect(keys(listing) == ["/b/1", "/b/2", "/b/3"] && listing.revision == Revision(20))
            #expect(fake.member.ranges.all.map(\.revision) == [0, 10, 0, 20])
        }
    }

    @Test func aPageThatFailsIsAskedForAgainAtItsRevision() async throws {
        let failures = Recorder<Void>()
        try await withFake(configure: pagesOfTwo) { fake, client in
            fake.member.change {
                $0.range = { member, request in
                    guard request.revision > 0 else {
                        return member.rangeResponse([.kv("/a/1", 1), .kv("/a/2", 2)], of: request, isMore: true)
                    }
                    guard !failures.all.isEmpty else {
                        failures.record(())
                        throw RPCError.unavailable()
                    }
                    return member.rangeResponse([.kv("/a/3", 3)], of: request)
                }
            }
            let listing = try await client.list(.prefix("/a/"))
            #expect(keys(listing) == ["/a/1", "/a/2", "/a/3"])
            #expect(fake.member.ranges.all.map(\.revision) == [0, 10, 10])
        }
    }

    /// It may have happened: whoever wants it again knows whether that does harm.
    @Test func aWriteThatFailsIsNotSentAgain() async throws {
        try await withFake(prepare: { $0.change { $0.txn = { _, _ in throw RPCError.unavailable() } } }) {
            fake, client in
            let error = try await #require(throws: EtcdError.self) { try await client.put("/a/1", []) }
            #expect(error.code == .unavailable && error.isTransient)
            #expect(fake.member.count(of: "Txn") == 1)
        }
    }

    @Test func aServerThatIsFullIsNotAskedTwice() async throws {
        try await withFake(prepare: {
            $0.change {
                $0.txn = { _, _ in
                    throw RPCError(code: .resourceExhausted, message: "etcdserver: mvcc: database space exceeded")
                }
            }
        }) { fake, client in
            let error = try await #require(throws: EtcdError.self) { try await client.put("/a/1", []) }
            #expect(error.code == .outOfSpace && !error.isTransient)
            #expect(fake.member.count(of: "Txn") == 1)
        }
    }

    @Test func aCallEndsAtItsDeadline() async throws {
        try await withFake(
            configure: { $0.requestTimeout = .seconds(1) },
            prepare: {
                $0.change {
                    $0.range = { _, _ in
                        try await Task.sleep(for: .seconds(60))
                        throw RPCError.unavailable()
                    }
                }
            }
        ) { fake, client in
            // Connected before: waiting for a connection ends otherwise.
            try await waitFor("a connection") { client.slot.current != nil }
            let begun = ContinuousClock.now
            let error = try await #require(throws: EtcdError.self) { _ = try await client.get("/a") }
            #expect(error.code == .timedOut && fake.member.count(of: "Range") == 1)
            let took = begun.duration(to: .now)
            report(took, "a call without an answer ends", promise: .seconds(1))
            #expect(took < .seconds(3))
        }
    }
}
