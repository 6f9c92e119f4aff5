// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Registry
import Testing

@Suite struct KnowledgeTextTests {
    private let now = ContinuousClock.now

    @Test func saysHowOldIsWhatIsKnown() {
        let health = RegistryHealth(
            lastContact: now - .milliseconds(7), revision: 42, cluster: "cdf818194e3a8c32", version: "3.4.23")
        let report = KnowledgeReport(health, now: now)
        #expect(report.text == "revision 42 of cluster cdf818194e3a8c32, last answer 7 ms ago")
        #expect(report.staleness == nil && report.lastContact == .milliseconds(7))
    }

    @Test func saysSinceWhenNothingCouldBeLearnedAndWhatHappened() {
        let health = RegistryHealth(
            staleSince: now - .seconds(3), lastContact: now - .seconds(4), revision: 42, reconnects: 2, relists: 3,
            resyncs: 1)
        #expect(
            KnowledgeReport(health, drift: 5, now: now).text
                == "revision 42, last answer 4000 ms ago, stale for 3000 ms, 2 reconnects, 3 relists, 1 resyncs, 5 drift"
        )
    }

    @Test func showsAStaleStoreAmongTheFindings() {
        var findings = EtcdFindings()
        #expect(!findings.text.contains("knowledge"))
        findings.knowledge = KnowledgeReport(RegistryHealth(staleSince: now, revision: 3), now: now)
        #expect(findings.text.contains("knowledge  stale   revision 3, no answer yet, stale for 0 ms"))
        #expect(findings.json["knowledge"] == findings.knowledge?.json)
    }
}
