// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import ServiceModel
import Synchronization
import TestSupport

/// A client and a server that says exactly what the test wants, byte by byte.
enum Conversation {
    /// An answer to HEAD.
    static func ping(_ version: String = "1.41") -> String {
        "HTTP/1.1 200 OK\r\nApi-Version: \(version)\r\nContent-Length: 0\r\n\r\n"
    }

    static func answer(_ body: String, status: String = "200 OK") -> String {
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// Answers each connection's requests with `parts` in turn, and gives `body` a client of it.
    static func with<Result: Sendable>(
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
}

/// First lines of the requests that a server got.
final class Requests: Sendable {
    private let state = Mutex<[String]>([])

    var lines: [String] { state.withLock { $0 } }

    fileprivate func read(_ connection: TCPConnection) throws {
        guard let first = try connection.receiveLine() else { return }
        state.withLock { $0.append(first) }
        while let line = try connection.receiveLine(), !line.isEmpty {}
    }
}
