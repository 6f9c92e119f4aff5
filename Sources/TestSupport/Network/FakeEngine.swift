// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Glibc
import Synchronization

/// Says what an engine would, on a socket in the file system: that it is there, a list of containers, and no event. For
/// hosts with more containers than a test can start; the list comes from a real engine (Scripts/record-docker).
///
/// ## Concurrency
/// One thread accepts, one a connection answers; all of it ends with `close()`.
package final class FakeEngine: Sendable {
    private struct State {
        var requests: [String] = []
        var open: [Int: TCPConnection] = [:]
        var isClosed = false
    }

    /// Where clients connect.
    package let path: String
    private let apiVersion: String
    private let list: String
    private let listener: Int32
    private let state = Mutex(State())

    /// - Parameter list: what it answers to whoever asks for all containers; whoever asks for those with a health check
    ///   is told that there are none.
    package init(at path: String, apiVersion: String, list: String) throws {
        self.path = path
        self.apiVersion = apiVersion
        self.list = list
        listener = try UnixSocket.listen(at: path)
        startThread { self.accept() }
    }

    /// `GET /v1.41/containers/json?all=1 HTTP/1.1`, in the order in which they came.
    package var requests: [String] { state.withLock { $0.requests } }

    package func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        let open = state.withLock { state in
            state.isClosed = true
            return Array(state.open.values)
        }
        for connection in open { connection.abort() }
    }

    // MARK: - Threads

    private func accept() {
        var number = 0
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                break
            }
            number += 1
            let (client, key) = (TCPConnection(owning: descriptor, limit: .seconds(300)), number)
            startThread {
                let isOpen = self.state.withLock { state in
                    if !state.isClosed { state.open[key] = client }
                    return !state.isClosed
                }
                if isOpen { try? self.serve(client) }
                client.close()
                _ = self.state.withLock { $0.open.removeValue(forKey: key) }
            }
        }
        Glibc.close(listener)
    }

    private func serve(_ client: TCPConnection) throws {
        while let request = try client.receiveLine() {
            // Its requests have no body.
            while let line = try client.receiveLine(), !line.isEmpty {}
            state.withLock { $0.requests.append(request) }
            let path = request.split(separator: " ").dropFirst().first ?? ""
            if path.hasSuffix("/_ping") {
                try client.send("HTTP/1.1 200 OK\r\nApi-Version: \(apiVersion)\r\nContent-Length: 0\r\n\r\n")
            } else if path.contains("/containers/json") {
                try answer(path.hasSuffix("all=1") ? list : "[]", to: client)
            } else if path.contains("/events") {
                try client.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                // Until one of both ends it.
                _ = try client.receiveToEnd()
            } else {
                try client.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            }
        }
    }

    private func answer(_ body: String, to client: TCPConnection) throws {
        try client.send(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
}
