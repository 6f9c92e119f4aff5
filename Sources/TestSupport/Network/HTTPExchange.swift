// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel

/// The little of HTTP/1.0 that etcd's JSON gateway asks for: cheap enough to look at a key every few milliseconds,
/// where starting `etcdctl` would cost 20 ms of processor time each time.
enum HTTPExchange {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Sends a request and reads the whole answer; blocking.
    static func post(_ path: String, _ body: String, to endpoint: Endpoint, limit: Duration) throws -> [UInt8] {
        let connection = try begin(path, body, to: endpoint, limit: limit)
        return try connection.receiveToEnd()
    }

    /// Asks for a page and reads the whole of it; blocking.
    static func get(_ path: String, from endpoint: Endpoint, limit: Duration) throws -> [UInt8] {
        let connection = try TCPConnection.connect(to: endpoint, limit: limit)
        try connection.send("GET \(path) HTTP/1.0\r\nHost: \(endpoint)\r\n\r\n")
        return try body(of: path, on: connection).receiveToEnd()
    }

    /// Sends a request and reads up to the body, whose lines follow on the connection; blocking.
    static func begin(
        _ path: String, _ body: String, to endpoint: Endpoint, limit: Duration
    ) throws -> TCPConnection {
        let connection = try TCPConnection.connect(to: endpoint, limit: limit)
        try connection.send(
            "POST \(path) HTTP/1.0\r\nHost: \(endpoint)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
        return try Self.body(of: path, on: connection)
    }

    private static func body(of path: String, on connection: TCPConnection) throws -> TCPConnection {
        guard let status = try connection.receiveLine() else { throw Failure(description: "no answer to \(path)") }
        while let line = try connection.receiveLine(), !line.isEmpty {}
        guard status.split(separator: " ").dropFirst().first == "200" else {
            let text = String(decoding: try connection.receiveToEnd(), as: UTF8.self)
            throw Failure(description: "\(path): \(status) \(text)")
        }
        return connection
    }
}
