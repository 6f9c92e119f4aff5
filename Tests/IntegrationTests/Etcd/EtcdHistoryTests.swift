// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A history that has gone, or that never was.
@Suite(.tags(.integration), .untilHung)
struct EtcdHistoryTests {
    @Test(.row("F8")) func aCompactionBeyondWhatIsKnownIsADifferenceNotANewStart() async throws {
        try await withEtcdCluster { cluster in
            let member = cluster.members[0]
            try await member.write((0..<1000).map { ("/services/other/\($0)", "1") })
            // One endpoint each: its restart below cuts them off, so that they have to resume.
            let scene = try await cluster.scene(endpoints: member.url)
            let traffic = try await scene.withTraffic(sleeps: true) { _ in
                let clients = [scene.mirror.process, scene.proxy.process]
                for client in clients { try client.pause() }
                try await member.restart()
                try await member.write((0..<5).map { ("/services/other/\($0)", "2") })
                try await member.write((5..<8).map { ("/services/other/\($0)", nil) })
                let revision = try await member.write([("/services/other/new", "1")])
                try await member.ctl("compact", "\(revision)")
                let start = ContinuousClock.now
                for client in clients { try client.resume() }
                try await scene.mirror.converges(
                    "F8: after a compaction", with: member, within: .seconds(2), since: start)
            }
            #expect(traffic.failures.isEmpty)
            // What changed in the meantime, and nothing that stayed.
            let reset = try await waitForValue("a line of the second listing") {
                scene.mirror.resets.dropFirst().first
            }
            #expect(reset.upserts == 6 && reset.removes == 3, "\(reset)")
            #expect(scene.mirror.resets.count == 2)
        }
    }

    enum Restored: CaseIterable {
        case onlyBack
        /// As another cluster, and written to until its revision is beyond what the client knows.
        case asAnotherClusterAndBeyond
    }

    @Test(.row("F9"), arguments: Restored.allCases) func aRestoredSnapshotIsTheTruth(restored: Restored) async throws {
        try await withEtcdCluster { cluster in
            let member = cluster.members[0]
            // Another term than that of a new cluster.
            for leader in cluster.members + [member] { try await cluster.makeLeader(leader) }
            let scene = try await cluster.scene()
            let snapshot = try await cluster.saveSnapshot(of: member)
            let traffic = try await scene.withTraffic(sleeps: true) { _ in
                let before = try await member.status()
                for number in 0..<10 {
                    try await member.write((0..<100).map { ("/services/other/\(number * 100 + $0)", "lost") }, batch: 1)
                }
                try await scene.mirror.converges("before the restoration", with: member, within: .seconds(5))
                let clients = [scene.mirror.process, scene.proxy.process]
                for client in clients { try client.pause() }
                switch restored {
                case .onlyBack: try await cluster.restore(snapshot)
                case .asAnotherClusterAndBeyond:
                    try await cluster.restore(snapshot, token: "another")
                    try await member.write((0..<1100).map { ("/services/other/\($0 % 50)", "new") }, batch: 1)
                    let after = try await member.status()
                    #expect(after.clusterID != before.clusterID && after.term != before.term)
                }
                let known = try scene.mirror.state().revision
                #expect(try await (member.revision() < known) == (restored == .onlyBack))
                let start = ContinuousClock.now
                for client in clients { try client.resume() }
                // Backoff to 5 s, and 2 s for an attempt that began too early.
                try await scene.mirror.converges("F9, \(restored)", with: member, within: .seconds(7), since: start)
                try await waitFor("another history to be counted") { try scene.mirror.state().resyncs == 1 }
                // It is not deaf from now on.
                try await member.put("/services/other/heard", "1")
                try await scene.mirror.converges("F9, \(restored): a change", with: member, within: .seconds(1))
            }
            #expect(traffic.failures.isEmpty)
        }
    }
}
