// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// Asks one engine over HTTP/1.1, unencrypted.
///
/// ## Concurrency
/// Safe from any task, while the scope of `withClient` lasts.
package struct DockerClient: Engine {
    /// An engine on the same host accepts at once; one behind a network within a second or two.
    private static let connectTimeout = TimeAmount.seconds(2)
    /// An engine that is busy starting a hundred containers has been seen to take seconds for its list.
    private static let answerTimeout = TimeAmount.seconds(10)
    /// Some 30,000 containers with many labels; more is a mistake that must not cost all memory.
    private static let longestList = 64 << 20
    /// A refusal says what is wrong in a sentence.
    private static let longestRefusal = 64 << 10

    package let address: DockerAddress
    private let http: HTTPClient

    /// Gives `body` a client, and closes its connections afterwards.
    package static func withClient<Result: Sendable>(
        to address: DockerAddress, _ body: (DockerClient) async throws -> Result
    ) async throws -> Result {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: HTTPClient.Configuration.Timeout(connect: connectTimeout))
        configuration.httpVersion = .http1Only
        // Whether and when to try again is decided in one place: `ContainerFeed`.
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, configuration: configuration)
        let result: Swift.Result<Result, any Error>
        do {
            result = .success(try await body(DockerClient(address: address, http: http)))
        } catch {
            result = .failure(error)
        }
        try? await http.shutdown()
        return try result.get()
    }

    private init(address: DockerAddress, http: HTTPClient) {
        self.address = address
        self.http = http
    }

    package func negotiate() async throws(DockerError) -> APIVersion {
        try await asking("_ping") {
            let response = try await self.ask("/_ping")
            _ = try await response.body.collect(upTo: Self.longestRefusal)
            guard let text = response.headers.first(name: "api-version"), let own = APIVersion(text) else {
                throw DockerError(.malformed, "\(self.address) does not say its API version: no container engine?")
            }
            return try APIVersion.negotiated(with: own)
        }
    }

    package func containers(_ version: APIVersion) async throws(DockerError) -> [Container] {
        try await asking("containers/json") {
            let response = try await self.ask("/v\(version)/containers/json?all=1")
            let body = try await response.body.collect(upTo: Self.longestList)
            return try EngineJSON.containers(body.readableBytesView)
        }
    }

    package func follow(
        _ version: APIVersion, subscribed: @escaping @Sendable () -> Void,
        heard: @escaping @Sendable (EngineEvent) -> Void
    ) async throws(DockerError) {
        try await asking("events") {
            // By kind only: what an action is called differs between engines.
            let filters = "%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"
            // No deadline: it goes on for as long as the engine does, and may begin with silence.
            let response = try await self.ask("/v\(version)/events?filters=\(filters)", deadline: .distantFuture)
            subscribed()
            var splitter = LineSplitter()
            for try await part in response.body {
                for line in try splitter.lines(in: part.readableBytesView) {
                    if let event = try EngineJSON.event(line) { heard(event) }
                }
            }
        }
    }

    /// - Throws: `.refused` unless the status is 200.
    private func ask(_ path: String, deadline: NIODeadline? = nil) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address.baseURL + path)
        request.headers.add(name: "user-agent", value: "legation")
        // The path of a socket is no host, and an engine refuses it.
        if address.socketPath != nil { request.headers.add(name: "host", value: "docker") }
        let deadline = deadline ?? .now() + Self.answerTimeout
        let response = try await http.execute(request, deadline: deadline)
        guard response.status == .ok else {
            let body = try? await response.body.collect(upTo: Self.longestRefusal)
            let message = body.flatMap { EngineJSON.message($0.readableBytesView) } ?? response.status.reasonPhrase
            throw DockerError(.refused, "\(address)\(path): \(response.status.code) \(message)")
        }
        return response
    }

    private func asking<Result: Sendable>(
        _ what: String, _ body: () async throws -> Result
    ) async throws(DockerError) -> Result {
        do {
            return try await body()
        } catch {
            throw DockerError(asking: "\(address) for \(what)", error)
        }
    }
}
