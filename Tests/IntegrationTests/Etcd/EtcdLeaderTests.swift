// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A leader that goes: somebody else leads, clients find out, traffic knows nothing of it.
@Suite(.tags(.integration), .untilHung)
struct EtcdLeaderTests {
    /// Three election times, and 1 s for the next member (docs/promises.md, "When etcd is in trouble").
    private static let election = Duration.seconds(4)

    @Test(.row("F1", "F2")) func aLeaderThatIsKilledAndOneThatHangsAreReplaced() async throws {
        try await withEtcdCluster { cluster in
            let scene = try await cluster.scene()
            let traffic = try await scene.withTraffic { _ in
                let killed = try await leaderOfMirror(scene)
                try await killed.kill()
                try await isReplaced(killed, "F1: a killed leader", scene, noticedWithin: Self.election)
                try await killed.start()

                let hanging = try await leaderOfMirror(scene)
                try hanging.pause()
                // Ping 10 s + time-out 5 s; 2 s for an attempt to connect that meets the hanging member again.
                try await isReplaced(hanging, "F2: a hanging leader", scene, noticedWithin: .seconds(17))
                try hanging.resume()
                try await cluster.awaitEqualHashes()
            }
            #expect(traffic.failures.isEmpty)
            try await scene.mirror.converges("F1, F2, in the end", with: cluster.members[0], within: .seconds(5))
        }
    }

    /// The member that the mirror is connected to, made the leader.
    private func leaderOfMirror(_ scene: EtcdScene) async throws -> EtcdProcess {
        let member = try await scene.cluster.member(of: scene.mirror.process)
        try await scene.cluster.makeLeader(member)
        return member
    }

    private func isReplaced(
        _ leader: EtcdProcess, _ what: String, _ scene: EtcdScene, noticedWithin noticed: Duration
    ) async throws {
        let start = ContinuousClock.now
        let cluster = scene.cluster
        let survivors = cluster.others(than: leader)
        let key = "/written/\(leader.name)"
        _ = try await cluster.mirror("/written/", ["--put", "\(key)=1"], awaitListing: false)
        // 2 s for an attempt to connect that meets the old leader. A write that was passed on to it is lost, which its
        // caller knows after 2.5 s, the deadline of an attempt.
        let promise = Duration.seconds(2) + .milliseconds(2500)
        async let written = eventually("\(what): a new client's write", within: promise, since: start) {
            try await survivors[0].key(key) != nil
        }
        _ = try await cluster.leader(among: survivors)
        try await survivors[0].put("/services/other/\(leader.name)", "1")
        try await scene.mirror.converges(what, with: survivors[1], within: noticed, since: start)
        _ = try await written
    }

    @Test(.row("F3")) func withoutAQuorumKnowledgeStands() async throws {
        try await withEtcdCluster { cluster in
            let scene = try await cluster.scene()
            let traffic = try await scene.withTraffic { _ in
                let known = try scene.mirror.state().entries
                let past = try await scene.proxy.pastOutages()
                let lost = Array(cluster.members.dropFirst())
                for member in lost { try await member.kill() }
                // The member that is left knows that it has no leader; then each endpoint has 2 s to answer.
                try await eventually("F3: stale knowledge said", within: Self.election + .seconds(6)) {
                    scene.proxy.count(of: Proxy.stale) == past + 1
                }
                try await eventually("F3: stale knowledge shown", within: Self.election) {
                    try scene.mirror.state().isStale
                }
                #expect(try scene.mirror.state().entries == known)

                let back = ContinuousClock.now
                try await lost.asyncForEach { try await $0.start(awaitHealth: false) }
                try await cluster.members[0].put("/services/other/after", "1")
                // Backoff to 5 s, and 2 s for an attempt that began too early.
                try await scene.mirror.converges("F3: a quorum again", with: cluster.members[0], within: .seconds(7))
                try await eventually("F3: fresh knowledge said", within: .seconds(7), since: back) {
                    scene.proxy.count(of: Proxy.fresh) == past + 1
                }
            }
            #expect(traffic.failures.isEmpty)
            #expect(try await cluster.members[0].key(scene.registrator.key) != nil)
        }
    }
}
