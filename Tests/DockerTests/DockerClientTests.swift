// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel
import Synchronization
import TestSupport
import Testing

/// The client against a server that says exactly what the test wants, byte by byte.
@Suite(.timeLimit(.minutes(1))) struct DockerClientTests {
    @Test func negotiatesAndListsByTheVersionThatBothKnow() async throws {
        let list = #"[{"Id":"a","Names":["/redis"],"State":"running"}]"#
        try await Conversation.with([Conversation.ping(), Conversation.answer(list), Conversation.answer("[]")]) {
            client, requests in
            let version = try await client.negotiate()
            #expect(version == APIVersion(1, 41))
            #expect(try await client.containers(version).map(\.names) == [["redis"]])
            #expect(
                requests.lines == [
                    "HEAD /_ping HTTP/1.1", "GET /v1.41/containers/json?all=1 HTTP/1.1",
                    "GET /v1.41/containers/json?filters="
                        + "%7B%22health%22%3A%5B%22starting%22%2C%22healthy%22%2C%22unhealthy%22%5D%7D HTTP/1.1",
                ])
        }
    }

    /// A proxy in front of the socket may let through what is read only, and no HEAD; an engine before 1.40 knows none.
    @Test(.row("R6"), arguments: ["403 Forbidden", "404 Not Found", "405 Method Not Allowed"])
    func pingsByGetWhereHeadIsRefused(status: String) async throws {
        let refusal = "HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n"
        let answer = "HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nContent-Length: 2\r\n\r\nOK"
        try await Conversation.with([refusal, answer]) { client, requests in
            let version = try await client.negotiate()
            #expect(version == APIVersion(1, 45))
            #expect(requests.lines == ["HEAD /_ping HTTP/1.1", "GET /_ping HTTP/1.1"])
        }
    }

    /// The words for people are the second witness.
    @Test func asksForTheHealthOfWhoHasACheck() async throws {
        let (a, b) = (
            #"{"Id":"a","State":"running"}"#, #"{"Id":"b","State":"running","Status":"Up 1 second (healthy)"}"#
        )
        let (c, d) = (#"{"Id":"c","State":"running"}"#, #"{"Id":"d","State":"running","Status":"Up 1 second"}"#)
        let answers = ["\(a),\(b),\(c),\(d)", "\(a),\(b),\(c)", a, b].map { Conversation.answer("[\($0)]") }
        try await Conversation.with(answers) { client, requests in
            let health = try await client.containers(APIVersion(1, 41)).map { "\($0.id) \($0.health)" }
            #expect(health == ["a healthy", "b unhealthy", "c starting", "d none"])
            #expect(requests.lines.count == 4)
        }
    }

    @Test func anEngineThatDoesNotFilterByHealthIsTakenAtItsWords() async throws {
        let list = #"[{"Id":"a","State":"running","Status":"Up 1 second (unhealthy)"}]"#
        let refusal = Conversation.answer(#"{"message":"Invalid filter 'health'"}"#, status: "400 Bad Request")
        for answers in [[Conversation.answer(list), refusal], Array(repeating: Conversation.answer(list), count: 4)] {
            try await Conversation.with(answers) { client, _ in
                let health = try await client.containers(APIVersion(1, 41)).map(\.health)
                #expect(health == [.unhealthy])
            }
        }
    }

    @Test func readsOfAnInspectionOnlyWhatIsMeantForUs() async throws {
        let body =
            #"{"Id":"a","Image":"sha256:0","Config":{"Image":"redis:7","Env":["SERVICE_NAME=redis","PASSWORD=x","SERVICE_TAGS=a=b","SERVICE_X","SERVICE_NAME=y"]}}"#
        let gone = Conversation.answer(#"{"message":"No such container: b"}"#, status: "404 Not Found")
        try await Conversation.with([Conversation.answer(body), gone, Conversation.answer("{}")]) { client, requests in
            let version = APIVersion(1, 41)
            let variables = ["SERVICE_NAME": "redis", "SERVICE_TAGS": "a=b"]
            let inspection = try await client.inspection(of: "a", version)
            #expect(inspection == Inspection(image: "redis:7", environment: variables))
            #expect(try await client.inspection(of: "b", version) == nil)
            #expect(try await client.inspection(of: "c", version) == Inspection())
            #expect(requests.lines.first == "GET /v1.41/containers/a/json HTTP/1.1")
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
        try await Conversation.with([head + chunks]) { client, _ in
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
        let refusal = Conversation.answer(#"{"message":"client version 1.41 is too old"}"#, status: "400 Bad Request")
        try await Conversation.with([refusal]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.containers(APIVersion(1, 41)) }
            #expect(error?.code == .refused)
            #expect(error?.description.contains("client version 1.41 is too old") == true)
        }
    }

    @Test func refusesAServerThatIsNoEngine() async throws {
        try await Conversation.with([Conversation.answer("")]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.negotiate() }
            #expect(error?.code == .malformed)
        }
    }

    @Test func refusesAnEngineThatIsTooOld() async throws {
        let old = "HTTP/1.1 200 OK\r\nApi-Version: 1.24\r\nContent-Length: 0\r\n\r\n"
        try await Conversation.with([old]) { client, _ in
            let error = await #expect(throws: DockerError.self) { try await client.negotiate() }
            #expect(error?.code == .tooOld)
        }
    }

    @Test(arguments: [
        "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[{\"I",
    ])
    func anEngineThatBreaksOffIsUnreachable(part: String) async throws {
        try await Conversation.with([part]) { client, _ in
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
            // An answer to HEAD is nothing but its head.
            guard part.isEmpty else { return }
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
