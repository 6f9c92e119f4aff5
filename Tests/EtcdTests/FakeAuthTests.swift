// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import EtcdProtos
import Foundation
import GRPCCore
import TestSupport
import Testing

@testable import Etcd

/// Users, tokens and their end.
@Suite(.timeLimit(.minutes(1))) struct FakeAuthTests {
    private func user(_ password: EtcdCredentials.Password = .literal("p")) -> (inout EtcdConfiguration) -> Void {
        { $0.credentials = .init(user: "u", password: password) }
    }

    @Test func oneAuthenticationServesManyCallsWhoseTokenHasEnded() async throws {
        try await withFake(configure: user(), prepare: { $0.giveTokens() }) { fake, client in
            _ = try await client.get("/a")
            fake.member.change {
                $0.admit = { method, token in
                    if method != "Authenticate", token != "token 2" { throw RPCError.invalidToken }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<30 { group.addTask { _ = try await client.get("/a") } }
                // A write that was refused for its token was not carried out either.
                for _ in 0..<10 { group.addTask { try await client.put("/a", []) } }
                try await group.waitForAll()
            }
            #expect(fake.member.authentications.all.count == 2)
        }
    }

    /// Users or roles that changed after the token was given (ErrGRPCAuthOldRevision).
    @Test func anOldRevisionOfTheUsersIsMetWithANewToken() async throws {
        try await withFake(configure: user(), prepare: { $0.giveTokens() }) { fake, client in
            _ = try await client.get("/a")
            fake.member.change {
                $0.admit = { method, token in
                    guard method == "Range", token == "token 1" else { return }
                    throw RPCError(code: .invalidArgument, message: "etcdserver: revision of auth store is old")
                }
            }
            _ = try await client.get("/a")
            #expect(fake.member.authentications.all.count == 2)
        }
    }

    @Test func aWrongPasswordFailsCallsAtOnceAndIsTriedSlowlyUntilItsFileIsMended() async throws {
        let file = NSTemporaryDirectory() + "password-\(UUID().uuidString)"
        try Data("wrong\n".utf8).write(to: URL(filePath: file))
        defer { try? FileManager.default.removeItem(atPath: file) }
        let tried = Recorder<ContinuousClock.Instant>()
        let log = LogRecorder()
        try await withFake(
            log: log, configure: user(.file(file)),
            prepare: { member in
                member.change {
                    $0.authenticate = { request in
                        tried.record(.now)
                        if request.password == "right" { return "token" }
                        throw RPCError(
                            code: .invalidArgument,
                            message: "etcdserver: authentication failed, invalid user ID or password")
                    }
                }
            }
        ) { fake, client in
            _ = try await tried.first(1, "authentications")
            let begun = ContinuousClock.now
            let error = try await #require(throws: EtcdError.self) { _ = try await client.get("/a") }
            #expect(error.code == .unauthenticated)
            let waited = begun.duration(to: .now)
            report(waited, "a call with a wrong password fails", promise: .milliseconds(500))
            #expect(waited < .seconds(10), "the deadline of a call is 20 s here")
            // Half a second, a second, two seconds at the least.
            let times = try await tried.first(3, "authentications")
            #expect(times[0].duration(to: times[2]) >= .milliseconds(1500))
            #expect(fake.member.count(of: "Range") == 0)
            try Data("right\n".utf8).write(to: URL(filePath: file))
            try await waitFor("the mended password is used") {
                _ = try await client.get("/a")
                return true
            }
            #expect(log.count(of: "authentication failed") == 1)
            #expect(!log.lines.contains { "\($0)".contains("right") || "\($0)".contains("wrong") })
        }
    }

    @Test func aServerWithoutAuthenticationIsUsedWithoutAToken() async throws {
        let tokens = Recorder<String?>()
        try await withFake(
            configure: user(),
            prepare: { member in member.change { $0.admit = { tokens.record($1) } } }
        ) { _, client in
            _ = try await client.get("/a")
            #expect(tokens.all.allSatisfy { $0 == nil })
        }
    }
}

extension FakeMember {
    /// Takes every password, and gives "token 1", "token 2" and so on.
    func giveTokens() {
        let given = Recorder<Void>()
        change {
            $0.authenticate = { _ in
                given.record(())
                return "token \(given.all.count)"
            }
        }
    }
}
