// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// What etcd has been asked for, as it counts itself; its gateway's requests count as well.
struct EtcdCost {
    let leases: Int
    let keepalives: Int
    let ranges: Int
    let writes: Int
    /// Bytes of all its answers.
    let sent: Int
    /// When keepalives were counted.
    let at: ContinuousClock.Instant

    init(_ etcd: EtcdProcess) async throws {
        func handled(_ method: String) async throws -> Int {
            try await etcd.metric("grpc_server_handled_total", "grpc_method=\"\(method)\"")
        }
        leases = try await handled("LeaseGrant")
        ranges = try await handled("Range")
        writes = try await handled("Txn") + handled("Put")
        keepalives = try await etcd.metric("grpc_server_msg_received_total", "grpc_method=\"LeaseKeepAlive\"")
        at = .now
        sent = try await etcd.metric("etcd_network_client_grpc_sent_bytes_total")
    }

    /// Expects one keepalive and one listing of keys in each of these times, on one lease, and nothing else, while a test
    /// looks at nothing but etcd's own figures.
    /// - Parameter count: of the keys that are kept.
    static func expect(
        _ etcd: EtcdProcess, keepalive: Duration, listing: Duration, during watched: Duration, of count: Int
    ) async throws {
        let before = try await EtcdCost(etcd)
        // A time in which little is to happen: there is no event to wait for.
        try await Task.sleep(for: watched)
        let after = try await EtcdCost(etcd)
        let past = after.at - before.at
        let (keepalives, ranges) = (after.keepalives - before.keepalives, after.ranges - before.ranges)
        let sent = after.sent - before.sent
        print("\(count) keys: \(keepalives) keepalives, \(ranges) listings, \(sent) bytes in \(past.milliseconds) ms")
        #expect(before.leases == 1 && after.leases == 1)
        #expect(after.writes == before.writes)
        // One more of each than fits when the time begins just before the first.
        #expect((Int(past / keepalive) - 1...Int(past / keepalive) + 1).contains(keepalives))
        #expect((1...Int(past / listing) + 1).contains(ranges))
        // Keys alone: what stands under one takes 200 bytes and more, beside some 80 of its name and revisions.
        #expect(sent < ranges * count * 150 + keepalives * 200)
    }
}
