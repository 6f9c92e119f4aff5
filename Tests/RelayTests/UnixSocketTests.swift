// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import CLinux
import Glibc
import ServiceModel
import Testing

@testable import Relay

extension SocketSuites {
    /// Unix sockets on either side, and on both.
    @Suite struct UnixSocketTests {
        enum Sides: CaseIterable { case client, backend, both }

        @Test(
            arguments: Sides.allCases, [SplicePolicy.off, SplicePolicy(), SplicePolicy(pipeBytes: 8192, fullReads: 0)])
        func bytesArriveUnchangedBothWays(sides: Sides, splicing: SplicePolicy) async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            try await withRelay(
                workers: 2, splicing: splicing, path: sides == .backend ? nil : paths.client
            ) { relay in
                let backend = sides == .client ? try TestBackend() : try TestBackend(at: paths.backend)
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                let length = 16 << 20
                let (up, down) = (Pattern(seed: 31), Pattern(seed: 32))
                let threads = [
                    Beside { try up.send(length, on: client) }, Beside { try down.send(length, on: served) },
                    Beside { try up.expect(length, on: served) }, Beside { try down.expect(length, on: client) },
                ]
                for thread in threads { try thread.join() }
                let end = try #require(try relay.awaitEnds(1).first)
                #expect(end.reason == .finished)
                #expect(end.bytesFromClient == UInt64(length) && end.bytesFromBackend == UInt64(length))
                #expect((end.client == nil) == (sides != .backend))
                _ = folder
            }
        }

        @Test func workersShareTheListener() async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            try await withRelay(workers: 2, path: paths.client) { relay in
                let backend = try TestBackend(at: paths.backend)
                relay.apply(backend)
                for number in 0..<200 {
                    let (client, served) = try relay.connectedPair(to: backend)
                    try client.send("\(1_000 + number)")
                    #expect(try served.receiveText(4) == "\(1_000 + number)")
                }
                #expect(
                    try relay.awaitEnds(200).allSatisfy {
                        [.finished, .clientReset, .backendReset].contains($0.reason)
                    })
                _ = folder
            }
        }

        /// A client that says all it has to say and closes, before anybody has accepted: no reset, and not a byte less.
        @Test func whatAClientSaidBeforeItLeftIsHandedOver() async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            let retry = RetryPolicy(attemptTimeout: .milliseconds(300))
            try await withRelay(retry: retry, policy: LinkPolicy(balance: .first), path: paths.client) { relay in
                let (mute, backend) = (try MuteBackend(), try TestBackend())
                relay.apply([mute.endpoint, backend.endpoint])
                let client = try relay.connect()
                try client.send("last words")
                client.close()
                let served = try backend.accept()
                #expect(try served.receiveText(10) == "last words")
                #expect(try served.end() == .finished)
                served.close()
                let end = try #require(try relay.awaitEnds(1).first)
                #expect(end.reason == .finished && end.bytesFromClient == 10)
                _ = folder
            }
        }

        /// Nobody there: the next instance at once, as for a port that refuses.
        @Test func instanceThatIsGoneIsPassedOver() async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            try await withRelay(policy: LinkPolicy(balance: .first)) { relay in
                // One file is missing, and one is left of a process that has ended.
                try TestBackend(at: paths.backend).close()
                let backend = try TestBackend()
                relay.apply(addresses: [.unix(paths.client), .unix(paths.backend), backend.address])
                let (client, served) = try relay.connectedPair(to: backend)
                try served.send("x")
                #expect(try client.receiveText(1) == "x")
                #expect(relay.connectFailures.map(\.errorNumber) == [ENOENT, ECONNREFUSED])
                _ = folder
            }
        }

        /// A Unix socket knows no reset of its own: its peer sees the end of the stream, or an error when it had sent
        /// what nobody read.
        @Test func resetOfTheOtherSideEndsTheUnixSide() async throws {
            let folder = try SocketFolder()
            let paths = try folder.paths()
            try await withRelay(path: paths.client) { relay in
                let backend = try TestBackend()
                relay.apply(backend)
                let (client, served) = try relay.connectedPair(to: backend)
                try served.send("last words")
                #expect(try client.receiveText(10) == "last words")
                served.reset()
                #expect(try client.receiveAll().bytes.isEmpty)
                #expect(try relay.awaitEnds(1).map(\.reason) == [.backendReset])
                _ = folder
            }
        }

        @Test func fileThatWasLeftBehindIsTakenAwayAndOneInUseIsNot() throws {
            let folder = try SocketFolder()
            let path = try folder.paths().client
            let first = try ListeningSockets.bind(path)
            let inUse = #expect(throws: SyscallError.self) { _ = try ListeningSockets.bind(path).count }
            #expect(inUse?.number == EADDRINUSE && inUse?.subject == "unix:\(path)")
            // The first one's clients still get through.
            _ = try TestSocket(connectedTo: .unix(path))
            close(first.relinquish()[0])
            #expect(try ListeningSockets.bind(path, mode: 0o660).count == 1)
            #expect(try mode(of: path) == 0o660)
            #expect(try ListeningSockets.bind(path).count == 1)
            #expect(try mode(of: path) == 0o600)
        }

        @Test func fileThatIsNoSocketIsLeftAlone() throws {
            let folder = try SocketFolder()
            let path = try folder.paths().client
            let file = open(path.description, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
            #expect(file >= 0)
            close(file)
            let refused = #expect(throws: SyscallError.self) { _ = try ListeningSockets.bind(path).count }
            #expect(refused?.number == EADDRINUSE)
            #expect(access(path.description, F_OK) == 0)
        }

        private func mode(of path: UnixPath) throws -> UInt32 {
            var (owner, group, mode): (UInt32, UInt32, UInt32) = (0, 0, 0)
            guard clinux_file_access(path.description, &owner, &group, &mode) == 0 else {
                throw SyscallError(call: "stat", subject: "\(path)", number: errno)
            }
            return mode & 0o777
        }
    }
}
