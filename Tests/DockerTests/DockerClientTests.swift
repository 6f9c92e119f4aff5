// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel
import Synchronization
import TestSupport
import Testing

/// The client against a server that says exactly what the test wants, byte by byte.
@Suite(.timeLimit(.minutes(1))) struct DockerClientTests {
    private static let ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"

    private static func answer(_ body: String, status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// Answers each connection's requests with `parts` in turn, and gives `body` a client of it.
    private func withEngine<Result: Sendable>(
        _ parts: [String], _ body: @Sendable (DockerClient, Requests) async throws -> Result
    ) async throws -> Result {
        let requests = Requests()
        let server = try Backend { connection in
            for part in parts {
                try requests.read(connection)
                try connection.send(part)
            }
        }
        defer { server.close() }
        return try await DockerClient.withClient(to: .tcp(host: "127.0.0.1", port: server.endpoint.port)) {
            try await body($0, requests)
        }
    }

    @Test func negotiatesAndListsByTheVersionThatBothKnow() async throws {
        let list = #"[{"Id":"a","Names":["/redis"],"State":"running"}]"#
        try await withEngine([Self.ping, Self.answer(list)]) { client, requests in
            let version = try await client.negotiate()
            #expect(version == APIVersion(1, 41))
            #expect(try await client.containers(version).map(\.names) == [["redis"]])
            #expect(requests.lines == ["GET /_ping HTTP/1.1", "GET /v1.41/containers/json?all=1 HTTP/1.1"])
        }
    }

    @Test func readsEventsHoweverTheyAreCut() async throws {
        let events =
            [
                #"{"Type":"container","Action":"kill","Actor":{"ID":"a","Attributes":{"signal":"9"}}}"#,
                #"{"Type":"network","Action":"connect"}"#,
                #"{"Type":"container","Action":"die","Actor":{"ID":"a"}}"#,
            ].joined(separator: "\n") + "\n"
        let chunks = events.map { "1\r\n\($0)\r\n" }.joined() + "0\r\n\r\n"
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        try await withEngine([head + chunks]) { client, _ in
            let heard = Mutex<[EngineEvent]>([])
            let subscribed = Mutex(0)
            try await client.follow(APIVersion(1, 41)) {
                subscribed.withLock { $0 += 1 }
            } heard: { event in
                heard.withLock { $0.append(event) }
            }
            let kill = ContainerEvent(action: "kill", container: "a", signal: 9)
            let die = ContainerEvent(action: "die", container: "a")
            #expect(heard.withLock { $0 } == [.container(kill), .other, .container(die)])
            #expect(subscribed.withLock { $0 } == 1)
        }
    }

    @Test func saysWhatTheEngineSaysOfARefusal() async throws {
        let refusal = Self.answer(#"{"message":"client version 1.41 is too old"}"#, status: "400 Bad Request")
        try await withEngine([refusal]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.containers(APIVersion(1, 41)) }
            #expect(error?.code == .refused)
            #expect(error?.description.contains("client version 1.41 is too old") == true)
        }
    }

    @Test func refusesAServerThatIsNoEngine() async throws {
        try await withEngine([Self.answer("OK")]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.negotiate() }
            #expect(error?.code == .malformed)
        }
    }

    @Test func refusesAnEngineThatIsTooOld() async throws {
        let old = "HTTP/1.1 200 OK\r\nApi-Version: 1.24\r\nContent-Length: 2\r\n\r\nOK"
        try await withEngine([old]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.negotiate() }
            #expect(error?.code == .tooOld)
        }
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{\"I",
    ])
    func anEngineThatBreaksOffIsUnreachable(part: String) async throws {
        try await withEngine([part]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.containers(APIVersion(1, 41)) }
            #expect(error?.code == .unreachable)
        }
    }

    @Test(arguments: ["", "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 100\r\n\r\n["])
    func anEngineThatFallsSilentInMidAnswerIsLate(part: String) async throws {
        let server = try Backend { connection in
            try connection.send(part)
            // Neither more nor an end, until the client has had enough.
            _ = try connection.receiveToEnd()
        }
        defer { server.close() }
        let address = DockerAddress.tcp(host: "127.0.0.1", port: server.endpoint.port)
        try await DockerClient.withClient(to: address, answerTimeout: .milliseconds(200)) { client in
            let list = await #expect(throws: DockerError.self) { try await client.containers(APIVersion(1, 41)) }
            #expect(list?.code == .timedOut)
            let ping = await #expect(throws: DockerError.self) { try await client.negotiate() }
            #expect(ping?.code == .timedOut)
        }
    }

    @Test func nobodyThereIsUnreachable() async throws {
        let free = try Backend(serve: Backend.echo)
        free.close()
        for address in [
            DockerAddress.tcp(host: "127.0.0.1", port: free.endpoint.port), .unix(path: "/nowhere/docker.sock"),
        ] {
            try await DockerClient.withClient(to: address) { client in
                let error = await #expect(throws: DockerError.self) { try await client.negotiate() }
                #expect(error?.code == .unreachable, "\(String(describing: error))")
            }
        }
    }
}

/// First lines of the requests that a server got.
private final class Requests: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }

    func read(_ connection: TCPConnection) throws {
        guard let first = try connection.receiveLine() else { return }
        state.withLock { $0.append(first) }
        while let line = try connection.receiveLine(), !line.isEmpty {}
    }
}
