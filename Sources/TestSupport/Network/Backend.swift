// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Glibc
package import ServiceModel
import Synchronization

/// A TCP server that a test stands behind something: it counts every dial and serves each connection on a thread.
///
/// ## Concurrency
/// One thread accepts, one thread a connection serves; all of it ends with `close()`.
package final class Backend: Sendable {
    /// One accepted connection.
    package struct Dial: Sendable {
        package let at: ContinuousClock.Instant
    }

    private struct State {
        var dials: [Dial] = []
        var open: [Int: TCPConnection] = [:]
        var next = 0
        var isListening = true
    }

    package let endpoint: Endpoint
    private let listener: Int32
    private let state = Mutex(State())

    /// Listens at once.
    /// - Parameters:
    ///   - port: 0 for a free one.
    ///   - limit: of each blocking call on a connection.
    ///   - serve: runs on the connection's thread; the connection is closed when it returns, reset when it throws.
    package init(
        on address: IPAddress = .loopbackV4, port: UInt16 = 0, limit: Duration = .seconds(300),
        serve: @escaping @Sendable (TCPConnection) throws -> Void
    ) throws {
        let wanted = SocketAddress(Endpoint(address, port: port))
        let descriptor = Glibc.socket(wanted.family, SocketAddress.stream, 0)
        guard descriptor >= 0 else { throw SocketFailure("socket") }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard wanted.withPointer({ bind(descriptor, $0, $1) }) == 0, listen(descriptor, 4096) == 0,
            let bound = SocketAddress(of: descriptor)?.endpoint
        else {
            let failure = SocketFailure("listen on \(address) port \(port)")
            Glibc.close(descriptor)
            throw failure
        }
        listener = descriptor
        endpoint = bound
        startThread { self.accept(limit: limit, serve: serve) }
    }

    // MARK: - Kinds

    /// Sends back what it gets; half-closes when its client does.
    package static func echo(_ connection: TCPConnection) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 8)
        defer { buffer.deallocate() }
        while true {
            let count = try connection.receive(into: buffer)
            if count == 0 { break }
            try connection.send(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        try connection.finishSending()
    }

    /// Says its name in a line, then echoes.
    package static func naming(_ name: String) -> @Sendable (TCPConnection) throws -> Void {
        { connection in
            try connection.send(name + "\n")
            try echo(connection)
        }
    }

    // MARK: - What happened

    package var dials: [Dial] { state.withLock { $0.dials } }
    package var openConnections: Int { state.withLock { $0.open.count } }

    // MARK: - Ending

    /// Stops listening: the port refuses. Connections live on.
    package func refuse() {
        let wasListening = state.withLock { state in
            defer { state.isListening = false }
            return state.isListening
        }
        // Wakes the accepting thread, which closes the descriptor.
        if wasListening { shutdown(listener, Int32(SHUT_RDWR)) }
    }

    /// Stops listening and resets every connection.
    package func close() {
        refuse()
        for connection in state.withLock({ Array($0.open.values) }) { connection.abort() }
    }

    // MARK: - Threads

    private func accept(limit: Duration, serve: @escaping @Sendable (TCPConnection) throws -> Void) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            if descriptor < 0 {
                if errno == EINTR || errno == ECONNABORTED || errno == EMFILE { continue }
                break
            }
            let connection = TCPConnection(owning: descriptor, limit: limit)
            let number = state.withLock { state in
                state.dials.append(Dial(at: .now))
                state.next += 1
                state.open[state.next] = connection
                return state.next
            }
            startThread {
                do {
                    try serve(connection)
                    connection.close()
                } catch {
                    connection.reset()
                }
                _ = self.state.withLock { $0.open.removeValue(forKey: number) }
            }
        }
        Glibc.close(listener)
    }
}
