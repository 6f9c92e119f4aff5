// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Leases that are lost while their process lives, and leases that outlive what replaced them.
@Suite(.tags(.integration), .untilHung)
struct EtcdLeaseTests {
    private static let address = Endpoint(.loopbackV4, port: 6379)
    /// From the notice that a lease is lost until everything stands again.
    private static let recovery = Duration.seconds(1)

    /// Everything that a registrator writes, its presence too.
    private static let everything = "/services"

    @Test(.row("F10"), arguments: EtcdProcess.Version.allCases)
    func everythingIsPutAgainWhenALeaseIsRevoked(version: EtcdProcess.Version) async throws {
        try await withEtcdCluster(version) { cluster in
            let etcd = cluster.members[0]
            let registrator = try await cluster.register("web", Self.address)
            let mirror = try await cluster.mirror(Self.everything)
            let own = try #require(try await etcd.key(registrator.key))
            let presence = try #require(try await etcd.keys("/services-nodes/hostA/").first)
            #expect(presence.lease == own.lease)
            try await etcd.withChanges(Self.everything) { changes in
                try await cluster.members[1].ctl("lease", "revoke", hexadecimal(own.lease))
                let revoked = ContinuousClock.now
                let noticed = try await registrator.process.firstLine(containing: "lease lost").at
                report(noticed - revoked, "F10: revoked lease noticed (\(version))", promise: .seconds(5) / 3)
                try await eventually("F10: every key put again (\(version))", within: Self.recovery, since: noticed) {
                    let puts = changes.all.filter { !$0.isDelete }
                    return Set(puts.map(\.key.key)) == [own.key, presence.key]
                }
            }
            let now = try #require(try await etcd.key(own.key))
            #expect(now.value == own.value && now.lease != own.lease)
            #expect(try await etcd.key(presence.key)?.lease == now.lease)
            #expect(registrator.process.lines(containing: "lease lost").count == 1)
            try await mirror.converges("F10: what was put again", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("F10"), arguments: EtcdProcess.Version.allCases)
    func theClientGrantsAnewAndPutsWhatItsUserKeeps(version: EtcdProcess.Version) async throws {
        try await withEtcdCluster(version) { cluster in
            let keys = (0..<5).map { "/kept/\($0)" }
            let mirror = try await cluster.mirror("/kept/", keys.flatMap { ["--put", "\($0)=here"] })
            try await mirror.process.firstLine(containing: "published")
            // Each member is asked to revoke once.
            for (round, etcd) in cluster.members.enumerated() {
                let lease = try #require(try await etcd.key(keys[0])).lease
                try await etcd.ctl("lease", "revoke", hexadecimal(lease))
                let lost = try await mirror.process.firstLine(containing: "lost \(hexadecimal(lease))")
                try await eventually("F10: mirror, round \(round) (\(version))", within: Self.recovery, since: lost.at)
                {
                    try await etcd.keys("/kept/").map(\.key) == keys
                }
            }
            try await waitFor("every grant to be told") { mirror.process.lines(containing: "granted").count >= 4 }
            try await mirror.converges("F10: what was put again", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("F10")) func aProcessThatSleptLongerThanItsLeaseComesBack() async throws {
        try await withEtcdCluster { cluster in
            let etcd = cluster.members[0]
            let registrator = try await cluster.register("web", Self.address)
            let mirror = try await cluster.mirror(Self.everything)
            try registrator.process.pause()
            try await waitFor("the lease's end") { try await etcd.key(registrator.key) == nil }
            let woken = ContinuousClock.now
            try registrator.process.resume()
            try await eventually("F10: back after a sleep longer than the lease", within: .seconds(2), since: woken) {
                try await etcd.key(registrator.key) != nil
            }
            #expect(registrator.process.exitStatus == nil)
            try await mirror.converges("F10: after a sleep", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("F11"), arguments: EtcdProcess.Version.allCases)
    func theEndOfAnOldLeaseTakesNothingOfTheNew(version: EtcdProcess.Version) async throws {
        try await withEtcdCluster(version) { cluster in
            let etcd = cluster.members[0]
            let old = try await cluster.register("web", Self.address, ttl: "20s")
            let mirror = try await cluster.mirror(Self.everything)
            let before = try #require(try await etcd.key(old.key))
            // Its lease has most of its 20 s before it.
            try await old.process.killAndWait()
            try await etcd.withChanges("/services/") { changes in
                let new = try await cluster.startRegister("web", Self.address)
                let taken = try await changes.first("the new process's key") { $0.key.key == old.key }
                #expect(!taken.isDelete && taken.key.lease != before.lease)
                let leases = try await etcd.ctl("lease", "list")
                #expect(leases.contains(hexadecimal(before.lease)), "the old lease is still there: \(leases)")
                try await waitFor("the old lease's end", within: .seconds(60)) {
                    try await !etcd.ctl("lease", "list").contains(hexadecimal(before.lease))
                }
                // A delete would come with the lease's end.
                try await etcd.put("/services/web/after", "{}")
                _ = try await changes.first("the last change") { $0.key.key == "/services/web/after" }
                #expect(changes.all.allSatisfy { !$0.isDelete })
                #expect(try await etcd.key(old.key)?.lease == taken.key.lease)
                #expect(new.exitStatus == nil)
            }
            try await mirror.converges("F11: the old lease over", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("F11")) func whoWasReplacedTakesNothingOfTheNewWhenItEnds() async throws {
        try await withEtcdCluster { cluster in
            let etcd = cluster.members[0]
            let old = try await cluster.register("web", Self.address)
            let mirror = try await cluster.mirror(Self.everything)
            let before = try #require(try await etcd.key(old.key))
            let new = try await cluster.startRegister("web", Self.address)
            try await waitFor("the new process's key") { try await etcd.key(old.key)?.lease != before.lease }
            try await etcd.withChanges("/services/") { changes in
                try old.process.terminate()
                #expect(try await old.process.end() == .code(0))
                try await etcd.put("/services/web/after", "{}")
                _ = try await changes.first("the last change") { $0.key.key == "/services/web/after" }
                #expect(changes.all.map(\.key.key) == ["/services/web/after"], "neither draining nor a delete")
            }
            let leases = try await etcd.ctl("lease", "list")
            #expect(!leases.contains(hexadecimal(before.lease)), "its own lease is given back")
            #expect(new.exitStatus == nil)
            try await mirror.converges("F11: the old process over", with: cluster.members[2], within: .seconds(1))
        }
    }
}

/// A lease as etcdctl writes it.
func hexadecimal(_ lease: Int64) -> String { String(UInt64(bitPattern: lease), radix: 16) }
