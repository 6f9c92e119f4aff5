// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import TestSupport
import Testing

@testable import Etcd

/// Watches that the server does not give, each with its reason.
@Suite(.timeLimit(.minutes(1))) struct FakeRefusalTests {
    private static let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied"

    /// Watches until the sequence ends. - Returns: the code that it ended with.
    private func end(of client: EtcdClient) async throws -> EtcdError.Code? {
        do {
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in for try await _ in events {} }
            return nil
        } catch let error as EtcdError {
            return error.code
        }
    }

    @Test func aDeniedCreateEndsTheWatch() async throws {
        try await withFake(prepare: { $0.refuseWatches(Self.denied) { _ in true } }) { fake, client in
            let code = try await end(of: client)
            #expect(code == .permissionDenied)
            #expect(fake.member.watches.all.flatMap(\.creates).count == 1)
        }
    }

    @Test func aCreateRefusedForAnUnknownReasonIsTriedAgain() async throws {
        let asked = Recorder<ContinuousClock.Instant>()
        try await withFake(prepare: { member in
            member.refuseWatches("etcdserver: something odd") { _ in
                asked.record(.now)
                return asked.all.count <= 2
            }
        }) { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                _ = try await asked.first(3, "creates")
                let stream = try #require(fake.member.watches.all.last)
                let create = try #require(stream.creates.last)
                #expect(create.startRevision == 11)
                stream.send(fake.member.events(create.watchID, [.put("/a/1", 11)]))
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "11: +/a/1")
            }
        }
    }

    /// etcd 3.4 answers a watch whose token has ended with "permission denied", as it does one without permission.
    @Test func aDenialWithATokenIsBelievedOnlyWithAFreshOne() async throws {
        try await withFake(
            configure: { $0.credentials = .init(user: "u", password: .literal("p")) },
            prepare: { member in
                member.giveTokens()
                member.refuseWatches(Self.denied) { $0 == "token 1" }
            }
        ) { fake, client in
            try await client.withWatch(.prefix("/a/"), from: Revision(11)) { events in
                let stream = try await fake.member.watch(1)
                #expect(stream.token == "token 2")
                let create = try await stream.create()
                #expect(create.startRevision == 11)
                stream.send(fake.member.events(create.watchID, [.put("/a/1", 11)]))
                var iterator = events.makeAsyncIterator()
                let event = try await iterator.next()
                #expect(event?.described == "11: +/a/1")
            }
            #expect(fake.member.authentications.all.count == 2)
        }
    }

    @Test func aDenialWithAFreshTokenEndsTheWatch() async throws {
        try await withFake(
            configure: { $0.credentials = .init(user: "u", password: .literal("p")) },
            prepare: { member in
                member.giveTokens()
                member.refuseWatches(Self.denied) { _ in true }
            }
        ) { fake, client in
            let code = try await end(of: client)
            #expect(code == .permissionDenied)
            #expect(fake.member.watches.all.map(\.token) == ["token 1", "token 2"])
        }
    }
}

extension FakeMember {
    /// Refuses creates on the streams whose token `isRefused` names, and confirms the others.
    fileprivate func refuseWatches(_ reason: String, where isRefused: @escaping @Sendable (String?) -> Bool) {
        change {
            $0.watch = { member, request, stream in
                guard case .createRequest(let create) = request.requestUnion else { return }
                stream.send(isRefused(stream.token) ? member.refused(reason) : member.created(create))
            }
        }
    }
}
