// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// etcd without space (NOSPACE): puts and grants are refused, keepalives, deletes and revokes are not.
@Suite(.tags(.integration), .untilHung)
struct EtcdSpaceTests {
    private static let quota = ["--quota-backend-bytes=4000000"]
    private static let address = Endpoint(.loopbackV4, port: 6379)
    /// Between two attempts to write.
    private static let interval = Duration.seconds(5)

    @Test(.row("F12"), arguments: EtcdProcess.Version.allCases)
    func keepsWhatStandsAndPutsTheRestWhenThereIsSpace(version: EtcdProcess.Version) async throws {
        try await withEtcdCluster(version, more: Self.quota, load: .waiting) { cluster in
            let etcd = cluster.members[0]
            let registrator = try await cluster.register("web", Self.address)
            let before = try #require(try await etcd.key(registrator.key))
            let other = try await cluster.register("other", Self.address)
            let mirror = try await cluster.mirror("/services/")
            try await Self.fill(cluster)

            // A change that has to be undone, and a service that is new.
            try await etcd.delete(other.key)
            let deleted = ContinuousClock.now
            let late = try await cluster.startRegister("late", Self.address, node: "hostB")
            let started = ContinuousClock.now
            let attempts = try await Self.attempts(
                cluster, for: "LeaseGrant", since: started, during: Self.interval * 2)
            #expect((1...3).contains(attempts), "grants of a new process tried in 10 s")

            // Twice the lease: alive only if it was kept.
            #expect(ContinuousClock.now - deleted > Self.interval * 2)
            #expect(try await etcd.key(registrator.key) == before, "neither lost nor written again")
            #expect(registrator.process.lines(containing: "lease lost").isEmpty)
            try await mirror.converges(
                "F12: a delete in an etcd that is full", with: cluster.members[1], within: .seconds(1))

            // Upkeep comes every 30 s and finds the deleted key.
            let refusal = try await other.process.firstLine(
                containing: "registry refuses a request", within: .seconds(60))
            #expect(refusal.text.contains("space"), "\(refusal.text)")
            let puts = try await Self.attempts(cluster, for: "Txn", since: .now, during: Self.interval * 2)
            #expect(puts <= 3, "writes tried in 10 s")
            #expect(other.process.lines(containing: "lease lost").isEmpty)

            try await Self.makeSpace(cluster)
            let mended = ContinuousClock.now
            for (process, key) in [(other.process, other.key), (late, "/services/late/hostB:127.0.0.1:6379")] {
                // A pause is 5 s at the least, and full jitter may double it.
                try await eventually("F12: \(key) put (\(version))", within: Self.interval * 2, since: mended) {
                    try await etcd.key(key) != nil
                }
                #expect(process.exitStatus == nil)
            }
            #expect(try await etcd.key(registrator.key) == before)
            try await mirror.converges("F12: after all", with: cluster.members[2], within: .seconds(1))
        }
    }

    /// Values of 700 kB in 4 MB: the sixth is too much, or one more where an answer came too late. The alarm of the
    /// member that is asked is everybody's.
    private static func fill(_ cluster: EtcdCluster) async throws {
        var number = 0
        try await waitFor("NOSPACE") {
            try? await cluster.members[0].putBytes(
                Array("/fill/\(number)".utf8), [UInt8](repeating: 120, count: 700_000))
            number += 1
            return try await cluster.members[0].ctl("alarm", "list").contains("NOSPACE")
        }
        for member in cluster.members {
            let refused = try await member.control(["put", "/fill/more", "1"])
            try #require(!refused.succeeded && refused.errors.contains("space exceeded"), "\(refused)")
        }
    }

    /// What an operator does (etcd's own page on maintenance): each member keeps its own file.
    private static func makeSpace(_ cluster: EtcdCluster) async throws {
        let etcd = cluster.members[0]
        try await etcd.ctl("del", "--prefix", "/fill/")
        try await etcd.ctl("compact", "\(etcd.revision())")
        for member in cluster.members {
            // Each compacts in its own time, and a file shrinks by no more than was compacted.
            try await waitFor("space at \(member.name)") {
                try await member.ctl("defrag")
                return try await member.metric("etcd_mvcc_db_total_size_in_bytes") < 1_000_000
            }
        }
        try await etcd.ctl("alarm", "disarm")
    }

    /// How often members refused a call of this kind for want of space.
    private static func attempts(
        _ cluster: EtcdCluster, for method: String, since start: ContinuousClock.Instant, during time: Duration
    ) async throws -> Int {
        func refusals() async throws -> Int {
            try await cluster.members.asyncMap { member in
                try await member.metric("grpc_server_handled_total", "\"\(method)\"", "ResourceExhausted")
            }.reduce(0, +)
        }
        let before = try await refusals()
        try await Task.sleep(until: start + time)
        return try await refusals() - before
    }
}
