// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import GRPCCore
import TestSupport
import Testing

@testable import Etcd

/// Connections that end at a moment when somebody waits on them, and clients that have ended.
@Suite(.timeLimit(.minutes(1))) struct FakeEndingTests {
    private func user(_ configuration: inout EtcdConfiguration) {
        configuration.credentials = .init(user: "u", password: .literal("p"))
    }

    /// A wrong password is asked about for ever, on the same connection: it must hear that it is to go.
    @Test func aGoAwayIsHeardWhileThePasswordIsRefused() async throws {
        try await withFakes(
            2, configure: user,
            prepare: { members in
                members[1].giveTokens()
                members[0].change {
                    $0.authenticate = { _ in
                        throw RPCError(
                            code: .invalidArgument,
                            message: "etcdserver: authentication failed, invalid user ID or password")
                    }
                }
            }
        ) { fakes, client in
            await #expect(throws: EtcdError.self) { _ = try await client.get("/a") }
            fakes[0].sayGoAway()
            try await eventually("the next member is asked", within: .seconds(1)) {
                fakes[1].member.authentications.all.count == 1
            }
            _ = try await client.get("/a")
            #expect(fakes[1].member.count(of: "Range") == 1)
        }
    }

    /// Their deadline is 20 s here; the connection and its token are gone at once.
    @Test func thoseWhoWaitForATokenGoOnWithTheNextConnection() async throws {
        try await withFakes(2, configure: user, prepare: { $0.forEach { $0.giveTokens() } }) { fakes, client in
            _ = try await client.get("/a")
            let old = fakes[0].member
            old.change {
                $0.admit = { method, _ in if method == "Range" { throw RPCError.invalidToken } }
                $0.authenticate = { _ in
                    try await Task.sleep(for: .seconds(60))
                    throw RPCError.unavailable()
                }
            }
            async let answer = client.get("/a")
            _ = try await old.authentications.first(2, "authentications")
            fakes[0].stop()
            let ended = ContinuousClock.now
            _ = try await answer
            let took = ended.duration(to: .now)
            report(took, "a call that waited for a token is answered elsewhere", promise: .seconds(1))
            #expect(took < .seconds(3))
            #expect(fakes[1].member.count(of: "Range") == 1)
        }
    }

    @Test func aWatchThatBeginsWhenTheClientHasEndedEndsToo() async throws {
        let client = try EtcdClient(
            configuration: EtcdConfiguration(endpoints: [try #require(EtcdEndpoint("http://127.0.0.1:1"))]),
            logger: LogRecorder().logger)
        let running = Task { try await client.run() }
        running.cancel()
        _ = await running.result
        try await client.withWatch(.prefix("/a/"), from: Revision(1)) { events in
            var iterator = events.makeAsyncIterator()
            let event = try await iterator.next()
            #expect(event == nil)
        }
    }
}
