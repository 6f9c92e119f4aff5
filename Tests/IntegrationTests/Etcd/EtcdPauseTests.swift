// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Clients that sleep too long, or ask too often.
@Suite(.tags(.integration), .untilHung)
struct EtcdPauseTests {
    @Test(.row("F22")) func afterAPauseLongerThanTheLeaseKeysAreBack() async throws {
        try await withEtcdCluster { cluster in
            let member = cluster.members[0]
            let backend = try await cluster.backend("A")
            let registrator = try await cluster.register("web", backend.endpoint)
            let mirror = try await cluster.mirror("/kept/", ["--put", "/kept/a=1", "--put", "/kept/b=2", "--ttl", "5"])
            let keys = [registrator.key, "/kept/a", "/kept/b"]
            func present() async throws -> [Bool] {
                try await keys.asyncMap { try await member.key($0) != nil }
            }
            try await waitFor("keys on leases") { try await present() == [true, true, true] }

            for process in [registrator.process, mirror.process] { try process.pause() }
            try await waitFor("the leases' end") { try await present() == [false, false, false] }
            let start = ContinuousClock.now
            for process in [registrator.process, mirror.process] { try process.resume() }
            try await eventually("F22: keys back after a pause", within: .seconds(2), since: start) {
                try await present() == [true, true, true]
            }
            try await mirror.converges("F22", with: member, within: .seconds(1))
        }
    }

    @Test(.row("F10")) func leasesThatTheClusterRevokesAreReplaced() async throws {
        try await withEtcdCluster { cluster in
            let backend = try await cluster.backend("A")
            let registrator = try await cluster.register("web", backend.endpoint)
            let mirror = try await cluster.mirror("/kept/", ["--put", "/kept/a=1", "--ttl", "5"])
            for (number, key) in [registrator.key, "/kept/a"].enumerated() {
                let member = cluster.members[number]
                let before = try await waitForValue("\(key) on a lease") { try await member.key(key) }
                try await member.ctl("lease", "revoke", String(UInt64(bitPattern: before.lease), radix: 16))
                // Noticed with the next keepalive, a third of 5 s later; then a second.
                try await eventually("F10: \(key) again", within: .seconds(5) / 3 + .seconds(1)) {
                    guard let now = try await member.key(key) else { return false }
                    return now.lease != before.lease
                }
            }
            try await mirror.converges("F10, on a cluster", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("F23")) func aClientThatPingsTooOftenLearnsToPingLess() async throws {
        try await withEtcdCluster(load: .waiting) { cluster in
            let mirror = try await cluster.mirror("/pinged/", ["--keepalive-time", "1"])
            // etcd allows a ping in 5 s and cuts the connection at the fourth of those that come sooner: after 1, 2, 4 s.
            let doublings = Duration.seconds(4 * (1 + 2 + 4))
            try await eventually("F23: the first connection cut", within: .seconds(5)) {
                try mirror.state().reconnects >= 1
            }
            var last = (count: 0, since: ContinuousClock.now)
            // Pings every 8 s are allowed: four of them without a cut are the end of it.
            try await eventually("F23: a connection that stays", within: doublings + .seconds(32)) {
                let count = try mirror.state().reconnects
                if count != last.count { last = (count, .now) }
                return ContinuousClock.now - last.since > .seconds(32)
            }
            print("measured: F23: \(last.count) reconnects before it stayed")
            #expect(last.count <= 3)
            try await cluster.members[0].put("/pinged/a", "1")
            try await mirror.converges("F23", with: cluster.members[0], within: .seconds(1))
        }
    }
}
