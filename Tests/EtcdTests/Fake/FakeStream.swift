// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import GRPCCore
import Synchronization
import TestSupport

/// One stream that a client has opened, in the hands of a test: what came, what to answer, when it ends.
final class FakeStream<Request: Sendable, Response: Sendable>: Sendable {
    /// Everything that came, in order.
    let requests = Recorder<Request>()
    /// The client's `hasleader` (clientv3.WithRequireLeader).
    let requiresLeader: Bool
    /// What the client showed when it opened the stream.
    let token: String?
    private let ended = Mutex(false)
    private let orders: AsyncThrowingStream<Response, any Error>
    private let continuation: AsyncThrowingStream<Response, any Error>.Continuation

    init(_ metadata: Metadata) {
        requiresLeader = metadata[stringValues: "hasleader"].contains("true")
        token = metadata.token
        (orders, continuation) = AsyncThrowingStream.makeStream()
    }

    /// Whether the client has left it, or the connection under it has gone.
    var isOver: Bool { ended.withLock { $0 } }

    func send(_ responses: Response...) { for response in responses { continuation.yield(response) } }

    /// Behind what was sent. - Parameter error: the stream's status; nil is OK.
    func end(_ error: RPCError? = nil) { continuation.finish(throwing: error) }

    /// Carries requests and answers until either side ends it.
    func serve(
        _ incoming: RPCAsyncSequence<Request, any Error>, _ writer: RPCWriter<Response>,
        onRequest: @escaping @Sendable (Request, FakeStream) -> Void
    ) async throws {
        defer { ended.withLock { $0 = true } }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for try await request in incoming {
                    self.requests.record(request)
                    onRequest(request, self)
                }
            }
            group.addTask { for try await response in self.orders { try await writer.write(response) } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

extension Metadata {
    var token: String? { self[stringValues: "token"].first { _ in true } }
}
