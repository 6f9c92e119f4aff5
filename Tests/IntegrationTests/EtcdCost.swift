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
        let first = try await EtcdCost(etcd)
        var last = first
        var wrong: [String] = []
        // A machine that halts for half a second has a keepalive sent twice, or one too late to be counted; not each time.
        for _ in 0..<3 {
            // A time in which little is to happen: there is no event to wait for.
            try await Task.sleep(for: watched)
            let now = try await EtcdCost(etcd)
            wrong = now.deviations(since: last, keepalive: keepalive, listing: listing, of: count)
            last = now
            if wrong.isEmpty { break }
        }
        #expect(wrong.isEmpty)
        #expect(first.leases == 1 && last.leases == 1)
        #expect(last.writes == first.writes)
    }

    /// What of keepalives, listings and bytes is not as `expect` says.
    private func deviations(
        since before: EtcdCost, keepalive: Duration, listing: Duration, of count: Int
    ) -> [String] {
        let past = at - before.at
        let (keepalives, ranges) = (self.keepalives - before.keepalives, self.ranges - before.ranges)
        let sent = self.sent - before.sent
        print("\(count) keys: \(keepalives) keepalives, \(ranges) listings, \(sent) bytes in \(past.milliseconds) ms")
        var wrong: [String] = []
        // One more of each than fits when the time begins just before the first.
        let due = Int(past / keepalive)
        if !(due - 1...due + 1).contains(keepalives) { wrong.append("\(keepalives) keepalives for \(due)") }
        if !(1...Int(past / listing) + 1).contains(ranges) { wrong.append("\(ranges) listings in \(past)") }
        // Keys alone: what stands under one takes 200 bytes and more, beside some 80 of its name and revisions.
        if sent >= ranges * count * 150 + keepalives * 200 { wrong.append("\(sent) bytes") }
        return wrong
    }
}
