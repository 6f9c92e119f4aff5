// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// Endpoints that listen and are of no use.
@Suite(.tags(.integration), .untilHung)
struct EtcdLearnerTests {
    @Test func aLearnerAmongTheEndpointsIsPassedOver() async throws {
        try await withEtcdCluster { cluster in
            let learner = try await cluster.learner()
            let member = cluster.members[0]
            let mirror = try await cluster.mirror("/learned/", endpoints: "\(learner.url),\(member.url)")
            #expect(try await cluster.member(of: mirror.process) === member)
            // While its member is away, the learner is all that there is.
            try await member.stop()
            try await mirror.process.firstLine(containing: Proxy.stale)
            #expect(try mirror.state().reconnects == 0, "the learner is not taken for a member")
            try await member.start()
            let back = ContinuousClock.now
            try await member.put("/learned/a", "1")
            // The longest wait between two rounds.
            try await eventually("the member is used again", within: .seconds(5), since: back) {
                try mirror.state().reconnects >= 1
            }
            try await mirror.converges("a learner is passed over", with: member, within: .seconds(1))
            #expect(try await cluster.member(of: mirror.process) === member)
        }
    }
}
