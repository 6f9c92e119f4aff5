// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Packets that do not arrive.
@Suite(.tags(.integration), .untilHung)
struct EtcdPartitionTests {
    @Test(.row("F4", "F5")) func partitionsAndBlackHolesLoseNoEvent() async throws {
        try await withEtcdCluster { cluster in
            let scene = try await cluster.scene()
            let traffic = try await scene.withTraffic { _ in
                try await theMembersPeersAreOutOfReach(scene)
                try await allMembersAreOutOfReach(scene)
            }
            #expect(traffic.failures.isEmpty)
            // Its file may be seen before its lines.
            try await waitFor("lines of all puts") {
                scene.mirror.revisionsOfPuts(below: "/services/other/").count >= 40
            }
            // One listing at the start; all else came as changes, each revision once and in order.
            #expect(scene.mirror.resets.count == 1, "\(scene.mirror.resets)")
            let revisions = scene.mirror.revisionsOfPuts(below: "/services/other/")
            #expect(revisions.count == 40)
            #expect(zip(revisions, revisions.dropFirst()).allSatisfy { $0 < $1 }, "\(revisions)")
        }
    }

    private func theMembersPeersAreOutOfReach(_ scene: EtcdScene) async throws {
        let cluster = scene.cluster
        let alone = try await cluster.member(of: scene.mirror.process)
        let survivors = cluster.others(than: alone)
        let start = ContinuousClock.now
        try await cluster.partition(alone)
        _ = try await cluster.leader(among: survivors)
        try await write("partition", by: survivors[0])
        try await scene.mirror.converges(
            "F4: partitioned from the quorum", with: survivors[1], within: .seconds(5), since: start)
        try await cluster.heal()
        // The member has tried to be elected meanwhile, of which its peers now hear: they elect once more.
        try await cluster.awaitAgreement()
        try await cluster.awaitEqualHashes()
    }

    private func allMembersAreOutOfReach(_ scene: EtcdScene) async throws {
        let cluster = scene.cluster
        try await waitFor("nobody to be stale") {
            let counts = [Proxy.stale, Proxy.fresh].map { scene.proxy.count(of: $0) }
            return try counts[0] == counts[1] && !scene.mirror.state().isStale
        }
        let count = scene.proxy.count(of: Proxy.stale)
        let start = ContinuousClock.now
        try await cluster.blackhole(cluster.members)
        try await write("black-hole", by: cluster.members[0])
        // Ping 10 s + time-out 5 s.
        try await eventually("F5: black hole noticed", within: .seconds(15), since: start) {
            try scene.mirror.state().isStale
        }
        // Once each endpoint had its 2 s to answer.
        try await eventually("F5: stale knowledge said", within: .seconds(15 + 6), since: start) {
            scene.proxy.count(of: Proxy.stale) == count + 1
        }
        try await cluster.heal()
        let healed = ContinuousClock.now
        // Backoff to 5 s, and 2 s for an attempt that began before.
        try await scene.mirror.converges(
            "F5: reachable again", with: cluster.members[0], within: .seconds(7), since: healed)
        try await eventually("F5: fresh knowledge said", within: .seconds(7), since: healed) {
            scene.proxy.count(of: Proxy.fresh) == count + 1
        }
    }

    /// 20 revisions.
    private func write(_ name: String, by member: EtcdProcess) async throws {
        for number in 0..<20 { try await member.write([("/services/other/\(name)-\(number)", "\(number)")]) }
    }
}
