// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A proxy that starts while two of three members are gone, and that knows nothing from before (F21).
@Suite(.tags(.integration), .untilHung)
struct EtcdColdStartTests {
    /// Before the last member has noticed that it has no leader any more, and after.
    @Test(.row("F21"), arguments: [false, true])
    func beginsWithWhatTheLastMemberKnows(whenItHasNoticed: Bool) async throws {
        try await withEtcdCluster { cluster in
            let backends = try await ["A", "B"].asyncMap { try await cluster.backend($0) }
            let last = cluster.members[0]
            try await last.putInstance("/services/web/a", backends[0].endpoint)
            for member in cluster.others(than: last) { try await member.stop() }
            if whenItHasNoticed {
                try await waitFor("the last one to have no leader") { try await last.status().leader == 0 }
            }

            let begun = ContinuousClock.now
            let proxy = try await cluster.proxy("web")
            try await eventually("served by what one member knows", within: .seconds(3), since: begun) {
                try await cluster.names(behind: proxy, rounds: 1) == ["A"]
            }
            let said = "registry has no quorum; began with what one member knows"
            try await proxy.process.firstLine(containing: said)
            #expect(proxy.process.lines(containing: said).count == 1)

            for member in cluster.others(than: last) { try await member.start(awaitHealth: false) }
            try await cluster.awaitAgreement()
            try await last.putInstance("/services/web/b", backends[1].endpoint)
            try await eventually("the cluster is followed again", within: .seconds(6)) {
                try await cluster.names(behind: proxy) == ["A", "B"]
            }
        }
    }
}
