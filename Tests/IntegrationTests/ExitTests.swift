// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What a registrator leaves behind, and what the next one makes of it.
@Suite(.tags(.integration), .untilHung)
struct ExitTests {
    private static let address = Endpoint(.loopbackV4, port: 6379)

    enum End: CaseIterable {
        /// SIGTERM, with `--on-exit keep`.
        case kept
        /// kill -9.
        case killed

        var flags: [String] {
            ["--also", "skydns:lan", "--also", "naming:/grpc"] + (self == .kept ? ["--on-exit", "keep"] : [])
        }
    }

    @Test(arguments: End.allCases)
    func ownKeysAreAdoptedAfterARestartWithoutAFlap(end: End) async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            // Long enough for a busy machine to start the next one meanwhile.
            let first = try await stage.register("web", Self.address, etcd: etcd, ttl: "20s", end.flags)
            let former = try #require(try await etcd.key(first.key)).lease
            // etcd shows the key a moment before its own registrator has the answer.
            try await first.process.firstLine(containing: "registered", first.key)
            try await etcd.withChanges("/") { changes in
                switch end {
                case .kept:
                    try first.process.terminate()
                    #expect(try await first.process.end() == .code(0))
                    #expect(first.process.lines(containing: "left to the lease", first.key).count == 1)
                case .killed: try first.process.kill()
                }
                let second = try await stage.register("web", Self.address, etcd: etcd, end.flags)
                let started = ContinuousClock.now
                let adopted = try await waitForValue("the next one's lease") {
                    try await etcd.key(first.key).flatMap { $0.lease != former && $0.lease != 0 ? $0 : nil }
                }
                report(.now - started, "adopted after a restart (\(end))", promise: .seconds(1))
                // The old lease ends, and takes no more along than its own presence.
                let lease = String(UInt64(bitPattern: former), radix: 16)
                try await waitFor("the end of the old lease", within: .seconds(60)) {
                    try await etcd.ctl("lease", "timetolive", lease).contains("already expired")
                }
                try await waitFor("one presence") { try await etcd.keys("/services-nodes/hostA/").count == 1 }
                #expect(try await etcd.key(first.key) == adopted)
                // Once each, and no word of an end between.
                let seen = changes.all.filter { !$0.key.key.hasPrefix("/services-nodes/") }
                #expect(seen.count == 3 && Set(seen.map(\.key.key)).count == 3, "\(seen)")
                #expect(seen.allSatisfy { !$0.isDelete && $0.key.json["state"] as? String ?? "up" == "up" })
                #expect(seen.allSatisfy { $0.key.lease == adopted.lease })
                #expect(second.process.lines(containing: "two hosts").isEmpty)
            }
        }
    }

    @Test func whatIsKeptGoesWithItsLease() async throws {
        try await withStage(.waiting) { stage in
            let etcd = try await stage.etcd()
            let registrator = try await stage.register("web", Self.address, etcd: etcd, ["--on-exit", "keep"])
            try await etcd.withChanges("/services") { changes in
                let asked = ContinuousClock.now
                try registrator.process.terminate()
                #expect(try await registrator.process.end() == .code(0))
                // The lease's whole time, and half a second of etcd's clock.
                let promise = Duration.milliseconds(5500)
                let gone = try await changes.deletion(of: registrator.key, within: promise * 3)
                report(gone.at - asked, "kept key gone after SIGTERM", promise: promise)
                #expect(gone.at - asked >= .seconds(5), "renewed once more at the end")
                #expect(changes.all.allSatisfy { $0.isDelete }, "\(changes.all)")
            }
            #expect(try await etcd.keys("/services").isEmpty)
        }
    }
}
