// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Etcd

/// What a member is asked, as it sees it.
@Suite(.timeLimit(.minutes(1))) struct FakeRequestTests {
    @Test func aWatchBeginsBehindAListingAndNamesWhatItNeeds() async throws {
        try await withFake { fake, client in
            let listing = try await client.list(.prefix("/a/"))
            try await client.withWatch(.prefix("/a/"), from: listing.revision.next) { _ in
                let stream = try await fake.member.watch()
                let create = try await stream.create()
                #expect(create.startRevision == 11 && create.watchID > 0)
                #expect(create.fragment && create.progressNotify && !create.prevKv)
                #expect(stream.requiresLeader)
            }
        }
    }

    @Test func aLeasesIDIsTheServersChoice() async throws {
        let asked = Recorder<Etcdserverpb_LeaseGrantRequest>()
        try await withFake(prepare: { member in
            member.change {
                $0.grant = { request in
                    asked.record(request)
                    return (77, 12)
                }
            }
        }) { _, client in
            let (lease, granted) = try await client.grantLease(timeToLive: .milliseconds(9_200))
            #expect(lease == LeaseID(77) && granted == .seconds(12))
            #expect(asked.all.map(\.id) == [0] && asked.all.map(\.ttl) == [10])
        }
    }

    @Test func aLeaseThatCannotBeRevokedDoesNotHoldUpTheEnd() async throws {
        try await withFake { fake, client in
            var ended: ContinuousClock.Instant?
            try await client.withLease(timeToLive: .seconds(60)) { keeper in
                try await waitFor("a lease") { keeper.lease != nil }
                fake.member.change {
                    $0.admit = { method, _ in if method == "LeaseRevoke" { throw RPCError.unavailable() } }
                }
                ended = .now
            }
            let took = try #require(ended).duration(to: .now)
            report(took, "a lease that cannot be revoked is left", promise: .seconds(1))
            #expect(took < .seconds(3))
            #expect(fake.member.count(of: "LeaseRevoke") >= 1)
        }
    }
}
