// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Members without space: they end, and come back when there is some.
@Suite(.tags(.integration), .untilHung)
struct EtcdDiskTests {
    @Test(.row("F16")) func aFullDiskStopsWritesAndNothingElse() async throws {
        try await withEtcdCluster(diskMegabytes: 150) { cluster in
            let scene = try await cluster.scene()
            let traffic = try await scene.withTraffic { _ in
                let known = try scene.mirror.state().entries
                let past = try await scene.proxy.pastOutages()
                try await cluster.fillDisks(cluster.members)
                let large = String(repeating: "x", count: 20_000)
                try await waitFor("a write that fails") {
                    for number in 0..<100 {
                        do {
                            // Elsewhere, so that the table stays what it was.
                            try await cluster.members[0].write([("/filler/\(number)", large)])
                        } catch {
                            return true
                        }
                    }
                    return false
                }
                try await waitFor("a member to say why") {
                    cluster.members.contains { $0.count(of: "no space left on device") > 0 }
                }
                try await eventually("F16: stale knowledge said", within: .seconds(4 + 6)) {
                    scene.proxy.count(of: Proxy.stale) == past + 1
                }
                #expect(try scene.mirror.state().entries == known)

                try await cluster.freeDisks(cluster.members)
                // etcd ends when it cannot write; whoever watches it starts it again.
                try await cluster.members.asyncForEach { member in
                    if member.isRunning { try await member.stop() }
                }
                try await cluster.start()
                let start = ContinuousClock.now
                try await cluster.members[0].put("/services/other/after", "1")
                try await scene.mirror.converges(
                    "F16: space again", with: cluster.members[0], within: .seconds(7), since: start)
                try await eventually("F16: fresh knowledge said", within: .seconds(7), since: start) {
                    scene.proxy.count(of: Proxy.fresh) == past + 1
                }
                try await cluster.awaitEqualHashes()
            }
            #expect(traffic.failures.isEmpty)
        }
    }
}
