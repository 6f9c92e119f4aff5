// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Etcd

/// Answers that are larger than what the client takes.
@Suite(.timeLimit(.minutes(1))) struct FakeSizeTests {
    private static let keys = (1...8).map { "/a/\($0)" }

    /// Keys of 30 kB each, for a client that takes 100 kB at a time.
    private func withLargeKeys(
        bytes: Int = 30_000, _ body: (FakeServer, EtcdClient) async throws -> Void
    ) async throws {
        try await withFake(
            configure: { $0.maximumMessageBytes = 100_000 },
            prepare: {
                $0.change {
                    $0.range = { member, request in
                        let left = Self.keys.filter { !Data($0.utf8).lexicographicallyPrecedes(request.key) }
                        let page = left.prefix(Int(request.limit))
                        return member.rangeResponse(
                            page.map { .kv($0, 5, value: Data(count: bytes)) }, of: request,
                            isMore: page.count < left.count)
                    }
                }
            }, body)
    }

    @Test func aListIsReadInSmallerPages() async throws {
        try await withLargeKeys { fake, client in
            let listing = try await client.list(.prefix("/a/"))
            #expect(listing.keyValues.map { String(decoding: $0.key, as: UTF8.self) } == Self.keys)
            #expect(listing.keyValues.allSatisfy { $0.value.count == 30_000 })
            // 1000, 500, 250, 125, 62, 31, 15, 7, 3: that fits, and serves for the rest.
            #expect(fake.member.ranges.all.map(\.limit).suffix(4) == [7, 3, 3, 3])
        }
    }

    @Test func aKeyThatIsTooLargeByItselfIsSaid() async throws {
        try await withLargeKeys(bytes: 200_000) { fake, client in
            let error = try await #require(throws: EtcdError.self) { try await client.list(.prefix("/a/")) }
            #expect(error.saysUnreadable && !error.isTransient)
            #expect(fake.member.ranges.all.last?.limit == 1)
        }
    }

    /// etcd sends what it has pending in one message, whatever it was asked for.
    @Test func aWatchMessageThatIsTooLargeIsReadAsAListing() async throws {
        try await withLargeKeys { fake, client in
            let member = fake.member
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await member.watch()
                let id = try await stream.create().watchID
                member.change { $0.revision = 18 }
                stream.send(
                    member.events(
                        id, Self.keys.enumerated().map { .put($1, Int64(11 + $0), value: Data(count: 30_000)) }))
                var iterator = events.makeAsyncIterator()
                guard case .reset(let listing) = try await iterator.next() else { throw Unexpected("no reset") }
                #expect(listing.keyValues.count == Self.keys.count && listing.revision == Revision(18))
                let next = try await member.watch(1)
                #expect(try await next.create().startRevision == 19)
            }
        }
    }
}
