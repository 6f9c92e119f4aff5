// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import Glibc
import Synchronization

/// Stands in front of an HTTP server that listens on a socket in the file system, passes everything on, and writes down
/// every request's first line. It can be cut, as when that server goes away, and it can refuse what is asked, as
/// a socket proxy with an allow-list does. Requests that wait for no answer before the next one are not for it.
///
/// ## Concurrency
/// One thread accepts; two a connection pass bytes on, until either end closes.
package final class RequestRecorder: Sendable {
    private struct State {
        var requests: [String] = []
        var open: [Int: [TCPConnection]] = [:]
        var next = 0
        var isCut = false
    }

    private struct Refused: Error {}

    /// Where clients connect.
    package let path: String
    private let upstream: String
    private let allows: @Sendable (_ request: String) -> Bool
    private let listener: Int32
    private let state = Mutex(State())

    /// Listens at once; anybody may connect.
    /// - Parameter allows: whether a request, told by its first line, is passed on; else it is written down, answered
    ///   with 403, and its connection ends.
    package init(
        at path: String, before upstream: String,
        allows: @escaping @Sendable (_ request: String) -> Bool = { _ in true }
    ) throws {
        self.path = path
        self.upstream = upstream
        self.allows = allows
        listener = try UnixSocket.listen(at: path)
        chmod(path, 0o666)
        startThread { self.accept() }
    }

    /// `GET /v1.41/containers/json?all=1 HTTP/1.1`, in the order in which they came.
    package var requests: [String] { state.withLock { $0.requests } }

    /// Ends every connection and all that come, until `restore()`.
    package func cut() {
        let open = state.withLock { state in
            state.isCut = true
            return state.open.values.flatMap(\.self)
        }
        for connection in open { connection.abort() }
    }

    package func restore() { state.withLock { $0.isCut = false } }

    package func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        cut()
    }

    // MARK: - Threads

    private func accept() {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED { continue }
                break
            }
            let client = TCPConnection(owning: descriptor, limit: .seconds(300))
            startThread { self.carry(client) }
        }
        Glibc.close(listener)
    }

    private func carry(_ client: TCPConnection) {
        defer { client.close() }
        guard let server = try? UnixSocket.connect(to: upstream, limit: .seconds(300)) else { return }
        defer { server.close() }
        let number: Int? = state.withLock { state in
            guard !state.isCut else { return nil }
            state.next += 1
            state.open[state.next] = [client, server]
            return state.next
        }
        guard let number else { return }
        defer { _ = state.withLock { $0.open.removeValue(forKey: number) } }
        concurrently {
            try? Self.pass(from: server, to: client) { _ in }
            client.abort()
        } and: {
            var head: [UInt8] = []
            do {
                try Self.pass(from: client, to: server) { try self.read($0, &head) }
            } catch is Refused {
                try? client.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            } catch {}
            server.abort()
        }
    }

    private static func pass(
        from source: TCPConnection, to target: TCPConnection, _ look: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 << 10, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = try source.receive(into: buffer)
            if count == 0 { return }
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            try look(bytes)
            try target.send(bytes)
        }
    }

    /// Requests that only ask have no body: each is a head, ended by an empty line. The end of a refused head is never
    /// passed on, so that the server does not act on it.
    private func read(_ bytes: UnsafeRawBufferPointer, _ head: inout [UInt8]) throws {
        head.append(contentsOf: bytes)
        while let end = Data(head).range(of: Data("\r\n\r\n".utf8)) {
            let text = String(decoding: head[..<end.lowerBound], as: UTF8.self)
            let request = String(text.prefix { !$0.isNewline })
            state.withLock { $0.requests.append(request) }
            head.removeSubrange(..<end.upperBound)
            if !allows(request) { throw Refused() }
        }
    }
}
