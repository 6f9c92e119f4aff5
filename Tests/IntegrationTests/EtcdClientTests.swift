// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import TestSupport
import Testing

@testable import Etcd

/// The etcd client on real servers: what a fake cannot show.
@Suite(.tags(.integration)) struct EtcdClientTests {
    private static func withClient<Result: Sendable>(
        _ etcd: EtcdProcess..., answersPings: Bool = true,
        _ body: @escaping @Sendable (EtcdClient) async throws -> Result
    ) async throws -> Result {
        var configuration = EtcdConfiguration(endpoints: etcd.compactMap { EtcdEndpoint($0.url) })
        configuration.answersPings = answersPings
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let client = try EtcdClient(configuration: configuration, logger: logger)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            defer { group.cancelAll() }
            return try await body(client)
        }
    }

    /// One connection carries `inARow` puts of one caller and then `each` of sixteen callers at once.
    static func livesOnOneConnection(_ version: EtcdProcess.Version, inARow: Int, each: Int) async throws {
        let count = 16
        try await withEtcd(version: version, load: .heavy) { etcd in
            try await withClient(etcd) { client in
                for number in 0..<inARow { try await client.put("/row/\(number % 10)", Array("\(number)".utf8)) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for caller in 0..<count {
                        group.addTask {
                            for number in 0..<each {
                                try await client.put("/caller/\(caller)", Array("\(number)".utf8))
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let callers = try await client.list(.prefix("/caller/"))
                #expect(callers.keyValues.map(\.version) == Array(repeating: Int64(each), count: count))
                // Every put is one revision of a cluster that nobody else writes to.
                #expect(callers.revision == Revision(Int64(1 + inARow + count * each)))
                #expect(client.knowledge.reconnects == 0)
            }
        }
    }

    /// Twice as many as without the answerer (next test); what a day's work is: SlowEtcdTests.
    @Test(.untilHung, arguments: EtcdProcess.Version.allCases)
    func putsInARowAndOfSixteenCallersLiveOnOneConnection(version: EtcdProcess.Version) async throws {
        try await Self.livesOnOneConnection(version, inARow: 2000, each: 125)
    }

    @Test(.untilHung, arguments: EtcdProcess.Version.allCases)
    func withoutThePingAnswererTheConnectionIsCutBeforeAThousandPuts(version: EtcdProcess.Version) async throws {
        try await withEtcd(version: version) { etcd in
            try await Self.withClient(etcd, answersPings: false) { client in
                let failure = await #expect(throws: EtcdError.self) {
                    for number in 0..<1000 { try await client.put("/row", Array("\(number)".utf8)) }
                }
                #expect(failure?.code == .unavailable)
            }
        }
    }

    @Test(.untilHung, arguments: EtcdProcess.Version.allCases)
    func aWatchMissesNothingOverARestart(version: EtcdProcess.Version) async throws {
        try await withEtcd(version: version) { etcd in
            try await Self.withClient(etcd) { client in
                let start = try await client.put("/w/a", [1])
                try await client.withWatch(.prefix("/w/"), from: start.next) { events in
                    var iterator = events.makeAsyncIterator()
                    let first = try await client.put("/w/a", [2])
                    #expect(
                        try await iterator.next()
                            == .changes(first, [self.put("/w/a", [2], at: first, after: start, 2)]))
                    try await etcd.restart()
                    try await etcd.put("/w/b", "x")
                    let second = Revision(first.rawValue + 1)
                    let later = self.put("/w/b", Array("x".utf8), at: second, after: second, 1)
                    #expect(try await iterator.next() == .changes(second, [later]))
                }
            }
        }
    }

    private func put(
        _ key: String, _ value: [UInt8], at revision: Revision, after created: Revision, _ version: Int64
    ) -> WatchChange {
        .put(
            KeyValue(
                key: Array(key.utf8), value: value, createRevision: created, modRevision: revision, version: version,
                lease: nil))
    }

    @Test(.untilHung) func aListOfManyPagesIsOneRevision() async throws {
        try await withEtcd { etcd in
            try await Self.withClient(etcd) { client in
                for batch in 0..<20 {
                    let operations = (0..<128).map { number in
                        Operation.put(key: Array("/many/\(batch * 128 + number)".utf8), value: [1], lease: nil)
                    }
                    _ = try await client.transaction(if: [], then: operations)
                }
                // 2,560 keys are three pages; writes go on between them.
                async let listing = client.list(.prefix("/many/"))
                for _ in 0..<50 { try await client.put("/many/0", [2]) }
                let found = try await listing
                #expect(found.keyValues.count == 2560)
                #expect(found.keyValues.allSatisfy { $0.modRevision <= found.revision })
            }
        }
    }

    @Test(.untilHung, arguments: EtcdProcess.Version.allCases)
    func aTransactionComparesReadsAndHasTwoBranches(version: EtcdProcess.Version) async throws {
        try await withEtcd(version: version) { etcd in
            try await Self.withClient(etcd) { client in
                let lease = try await client.grantLease(timeToLive: .seconds(60)).0
                let key = Array("/t/a".utf8)
                try await client.put("/t/b", [9])
                let first = try await client.put("/t/a", [1], lease: lease)
                let holds: [Comparison] = [
                    .init(of: key, .equal, .value([1])), .init(of: key, .less, .version(2)),
                    .init(of: key, .equal, .lease(lease)), .init(of: key, .notEqual, .modRevision(Revision(1))),
                    .init(of: key, .greater, .createRevision(Revision(1))),
                ]
                let done = try await client.transaction(
                    if: holds,
                    then: [.put(key: key, value: [2], lease: nil), .get(.key(key)), .delete(.prefix("/t/b"))])
                #expect(done.succeeded && done.revision == first.next)
                guard case .got(let seen) = done.steps[1] else { throw EtcdError(.other, "\(done)") }
                #expect(seen.map(\.value) == [[2]], "a step sees those before it")
                #expect([done.steps[0], done.steps[2]] == [.put, .deleted(1)])

                let other = try await client.transaction(
                    if: [holds[0]], then: [.put(key: key, value: [3], lease: nil)], else: [.get(.prefix("/t/b"))])
                #expect(!other.succeeded && other.steps == [.got([])] && other.revision == done.revision)
            }
        }
    }

    @Test(.untilHung, arguments: EtcdProcess.Version.allCases)
    func readsThePastCountsAndAsksLeasesAndMembers(version: EtcdProcess.Version) async throws {
        try await withEtcd(version: version) { etcd in
            try await Self.withClient(etcd) { client in
                let lease = try await client.grantLease(timeToLive: .seconds(60)).0
                let first = try await client.put("/p/a", [1], lease: lease)
                let second = try await client.put("/p/b", [2])
                #expect(try await client.list(.prefix("/p/"), at: first).keyValues.map(\.value) == [[1]])
                #expect(try await client.count(.prefix("/p/")) == 2)
                #expect(try await client.get("/p/b", consistency: .serializable)?.value == [2])
                #expect(try await client.timeToLive(of: lease, withKeys: true)?.keys == [Array("/p/a".utf8)])
                try await client.compact(before: second)
                let gone = await #expect(throws: EtcdError.self) { try await client.list(.prefix("/p/"), at: first) }
                #expect(gone?.code == .compacted)
                #expect(try await client.memberList().count == 1)
                let hash = try await client.hash()
                #expect(hash.revision == second && hash.compactRevision == second)
                let said = try await etcd.ctl("endpoint", "hashkv", "--write-out=json")
                #expect(said.contains("\"hash\":\(hash.hash)"), "\(said)")
            }
        }
    }

    @Test(.untilHung) func aDeadFirstEndpointIsPassedOver() async throws {
        try await withStage { stage in
            let dead = try await stage.etcd(start: false)
            let alive = try await stage.etcd()
            // Chosen at random, so that clients spread: each of these clients may begin with either.
            for _ in 0..<8 {
                let revision = try await Self.withClient(dead, alive) { client in try await client.put("/a", [1]) }
                #expect(revision > Revision(1))
            }
        }
    }

    @Test(.untilHung) func aLostLeaseIsReplaced() async throws {
        try await withEtcd { etcd in
            try await Self.withClient(etcd) { client in
                try await client.withLease(timeToLive: .seconds(5)) { keeper in
                    var events = keeper.events.makeAsyncIterator()
                    guard case .granted(let first, _) = await events.next() else { throw EtcdError(.other, "no lease") }
                    try await etcd.ctl("lease", "revoke", "\(first)")
                    let start = ContinuousClock.now
                    #expect(await events.next() == .lost(first))
                    let noticed = ContinuousClock.now
                    guard case .granted(let second, _) = await events.next() else {
                        throw EtcdError(.other, "no second lease")
                    }
                    report(start.duration(to: noticed), "loss of a lease noticed", promise: .seconds(5) / 3)
                    report(noticed.duration(to: .now), "lease granted anew", promise: .seconds(1))
                    #expect(second != first)
                    #expect(try await client.timeToLive(of: second) != nil)
                }
            }
        }
    }

    @Test(.untilHung) func aLeaseIsKeptPastItsTimeAndRevokedAtTheEnd() async throws {
        try await withEtcd(load: .waiting) { etcd in
            try await Self.withClient(etcd) { client in
                let lease = try await client.withLease(timeToLive: .seconds(5)) { keeper in
                    var events = keeper.events.makeAsyncIterator()
                    guard case .granted(let lease, let granted) = await events.next() else {
                        throw EtcdError(.other, "no lease")
                    }
                    try await client.put("/held", [1], lease: lease)
                    // Twice its time: alive only if it was kept.
                    let clock = ContinuousClock()
                    let end = clock.now + granted * 2
                    while clock.now < end {
                        try #require(try await client.get("/held")?.lease == lease)
                        try await clock.sleep(for: .milliseconds(250))
                    }
                    return lease
                }
                #expect(try await client.timeToLive(of: lease) == nil)
                #expect(try await client.get("/held") == nil)
            }
        }
    }
}
