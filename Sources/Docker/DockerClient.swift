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
    package static let answerTimeout = Duration.seconds(10)
    /// Some 30,000 containers with many labels; more is a mistake that must not cost all memory.
    private static let longestList = 64 << 20
    /// All that an engine knows of one container: labels and variables of 128 KiB each at most (Linux's limit of an
    /// argument), and many mounts.
    private static let longestContainer = 4 << 20
    /// A refusal says what is wrong in a sentence.
    private static let longestRefusal = 64 << 10

    package let address: DockerAddress
    private let http: HTTPClient
    private let answerTimeout: Duration

    /// Gives `body` a client, and closes its connections afterwards.
    /// - Parameter answerTimeout: from a question to the last byte of its answer; events have none.
    package static func withClient<Result: Sendable>(
        to address: DockerAddress, answerTimeout: Duration = answerTimeout,
        _ body: (DockerClient) async throws -> Result
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
            result = .success(try await body(DockerClient(address: address, http: http, answerTimeout: answerTimeout)))
        } catch {
            result = .failure(error)
        }
        try? await http.shutdown()
        return try result.get()
    }

    private init(address: DockerAddress, http: HTTPClient, answerTimeout: Duration) {
        self.address = address
        self.http = http
        self.answerTimeout = answerTimeout
    }

    package func negotiate() async throws(DockerError) -> APIVersion {
        try await asking("_ping", within: answerTimeout) { [self] in
            let response = try await ping()
            _ = try await response.body.collect(upTo: Self.longestRefusal)
            guard let text = response.headers.first(name: "api-version"), let own = APIVersion(text) else {
                throw DockerError(.malformed, "\(address) does not say its API version: no container engine?")
            }
            return try APIVersion.negotiated(with: own)
        }
    }

    /// By HEAD, as the API's published description advises; by GET where somebody in front of the engine lets nothing else
    /// through.
    private func ping() async throws -> HTTPClientResponse {
        do {
            return try await ask("/_ping", by: .HEAD)
        } catch let error as DockerError where error.code == .refused || error.code == .notFound {
            return try await ask("/_ping")
        }
    }

    package func containers(_ version: APIVersion) async throws(DockerError) -> [Container] {
        let listed = try await list("all=1", version)
        guard !listed.isEmpty, let checked = try await checked(version) else { return listed }
        return listed.map(checked.judging)
    }

    package func inspection(of container: String, _ version: APIVersion) async throws(DockerError) -> Inspection? {
        do {
            return try await asking("containers/\(container)/json", within: answerTimeout) { [self] in
                let response = try await ask("/v\(version)/containers/\(container)/json")
                let body = try await response.body.collect(upTo: Self.longestContainer)
                return try EngineJSON.inspection(body.readableBytesView)
            }
        } catch  where error.code == .notFound {
            return nil
        }
    }

    /// Which of the containers that run have a health check, and what it says: the list tells so in words for people only.
    /// - Returns: nil when this engine does not filter by health.
    private func checked(_ version: APIVersion) async throws(DockerError) -> CheckedContainers? {
        do {
            let all = try await list(health: [.starting, .healthy, .unhealthy], version)
            guard !all.isEmpty else { return CheckedContainers() }
            return CheckedContainers(
                all: all, healthy: try await list(health: [.healthy], version),
                unhealthy: try await list(health: [.unhealthy], version))
        } catch  where error.code == .refused {
            return nil
        }
    }

    private func list(health: [ContainerHealth], _ version: APIVersion) async throws(DockerError) -> Set<String> {
        // {"health":["healthy"]}
        let words = health.map { "%22\($0.rawValue)%22" }.joined(separator: "%2C")
        return Set(try await list("filters=%7B%22health%22%3A%5B\(words)%5D%7D", version).map(\.id))
    }

    private func list(_ query: String, _ version: APIVersion) async throws(DockerError) -> [Container] {
        try await asking("containers/json", within: answerTimeout) { [self] in
            let response = try await ask("/v\(version)/containers/json?\(query)")
            let body = try await response.body.collect(upTo: Self.longestList)
            return try EngineJSON.containers(body.readableBytesView)
        }
    }

    package func follow(
        _ version: APIVersion, subscribed: @escaping @Sendable () -> Void,
        heard: @escaping @Sendable (EngineEvent) -> Void
    ) async throws(DockerError) {
        try await asking("events", within: nil) { [self] in
            // By kind only: what an action is called differs between engines.
            let filters = "%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"
            // It goes on for as long as the engine does, and may begin with silence.
            let response = try await ask("/v\(version)/events?filters=\(filters)")
            subscribed()
            var splitter = LineSplitter()
            for try await part in response.body {
                for line in splitter.lines(in: part.readableBytesView) {
                    if let event = EngineJSON.event(line) { heard(event) }
                }
            }
        }
    }

    /// - Throws: `.refused` or `.notFound` unless the status is 200.
    private func ask(_ path: String, by method: HTTPMethod = .GET) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address.baseURL + path)
        request.method = method
        request.headers.add(name: "user-agent", value: "legation")
        // The path of a socket is no host, and an engine refuses it.
        if address.socketPath != nil { request.headers.add(name: "host", value: "docker") }
        // AsyncHTTPClient's own deadline ends with the answer's head: ours are around it (`limited`).
        let response = try await http.execute(request, deadline: .distantFuture)
        guard response.status == .ok else {
            let body = try? await Self.limited(by: answerTimeout) {
                try await response.body.collect(upTo: Self.longestRefusal)
            }
            let message = body.flatMap { EngineJSON.message($0.readableBytesView) } ?? response.status.reasonPhrase
            throw DockerError(
                response.status == .notFound ? .notFound : .refused,
                "\(address)\(path): \(response.status.code) \(message)")
        }
        return response
    }

    /// - Parameter limit: nil for none.
    private func asking<Result: Sendable>(
        _ what: String, within limit: Duration?, _ body: @escaping @Sendable () async throws -> Result
    ) async throws(DockerError) -> Result {
        do {
            guard let limit else { return try await body() }
            return try await Self.limited(by: limit, body)
        } catch {
            throw DockerError(asking: "\(address) for \(what)", error)
        }
    }

    /// - Throws: `.timedOut` when the limit came first.
    private static func limited<Result: Sendable>(
        by limit: Duration, _ body: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        let outcome = try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await body() }
            group.addTask {
                try await Task.sleep(for: limit)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
        guard let outcome else { throw DockerError(.timedOut, "no answer within \(limit)") }
        return outcome
    }
}
