// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
package import ServiceModel

/// A real redis-server on loopback, without persistence.
package final class RedisProcess: Sendable {
    package let endpoint: Endpoint
    package let process: ProcessUnderTest

    fileprivate init(endpoint: Endpoint, process: ProcessUnderTest) {
        self.endpoint = endpoint
        self.process = process
    }

    /// Sends a command without arguments that hold blanks to whatever answers at `endpoint`.
    /// - Returns: the answer without RESP's framing (`PONG`), nil at the end of the stream.
    package static func ask(
        _ command: String, at endpoint: Endpoint, from network: Network = .own, limit: Duration = .seconds(10)
    ) async throws -> String? {
        try await network.run {
            let connection = try TCPConnection.connect(to: endpoint, limit: limit)
            return try answer(to: command, on: connection)
        }
    }

    /// The same on a connection that is open; blocking.
    package static func answer(to command: String, on connection: TCPConnection) throws -> String? {
        guard let first = try connection.exchange(command) else { return nil }
        guard first.hasPrefix("$"), let count = Int(first.dropFirst()), count >= 0 else {
            return String(first.dropFirst())
        }
        let body = try connection.receive(upTo: count + 2)
        return String(decoding: body.dropLast(2), as: UTF8.self)
    }

    /// The id that a server draws at its start: which of several is behind an ambassador.
    package static func runID(
        at endpoint: Endpoint, from network: Network = .own, limit: Duration = .seconds(10)
    ) async throws -> String {
        try await field("run_id", at: endpoint, from: network, limit: limit)
    }

    /// A field of what a server says of itself.
    fileprivate static func field(
        _ name: String, at endpoint: Endpoint, from network: Network = .own, limit: Duration = .seconds(10)
    ) async throws -> String {
        guard let info = try await ask("INFO server", at: endpoint, from: network, limit: limit),
            let line = info.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix(name + ":") })
        else { throw Unexpected("no \(name) at \(endpoint)") }
        return String(line.dropFirst(name.count + 1))
    }
}

extension Stage {
    /// A running redis-server.
    /// - Parameter socket: the path of a Unix socket on which it listens as well.
    package func redis(port: UInt16? = nil, socket: String? = nil) async throws -> RedisProcess {
        let endpoint = try Endpoint(.loopbackV4, port: port ?? FreePorts.take())
        let process = try await start(
            Command(
                "redis-server",
                [
                    "--port", "\(endpoint.port)", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                    "--dir", directory(),
                ] + (socket.map { ["--unixsocket", $0] } ?? [])))
        try await waitFor("redis-server at \(endpoint)") {
            try await RedisProcess.ask("PING", at: endpoint) == "PONG"
        }
        let version = try await RedisProcess.field("redis_version", at: endpoint)
        try RealParts.record("redis-server", version: version, test: test)
        return RedisProcess(endpoint: endpoint, process: process)
    }
}
