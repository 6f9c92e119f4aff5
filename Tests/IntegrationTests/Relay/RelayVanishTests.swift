// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Peers that are gone without a word, and instances that are gone from the registry.
@Suite(.tags(.integration), .untilHung)
struct RelayVanishTests {
    /// Nothing is under way: keepalive finds out. The other cases take longer: `SlowRelayTests`.
    @Test(.row("D6"), arguments: RelayEndTests.Side.allCases)
    func anIdleConnectionWhosePeerVanishedIsFreed(vanishing: RelayEndTests.Side) async throws {
        try await VanishScene.isFreed(vanishing, .idle)
    }

    @Test(.row("D14")) func connectionsOutliveTheKeyOfTheirInstance() async throws {
        try await withFaultyNetwork(.heavy) { faults in
            let backends = try await faults.backends("leaving", "staying")
            let leaving = backends[0]
            // Of several workers each has turns of its own, and their clients are not exactly halved.
            let (proxy, etcd) = try await faults.proxyAndEtcd(backends.map(\.endpoint), ["--workers", "1"])
            let flows = try await faults.network.run {
                try (0..<1000).map { _ in
                    let flow = try TCPConnection.connect(to: proxy.endpoint, limit: .seconds(30))
                    return (flow, try flow.receiveLine())
                }
            }
            let count = flows.count { $0.1 == "leaving" }
            #expect(count == 500)
            let round = { @Sendable in try ClientLoop.round(to: proxy.endpoint) }
            try await withArrivals(perSecond: 100, in: faults.network, round) { arrivals in
                try await waitFor("clients of both") { Set(arrivals.rounds.compactMap(\.name)).count == 2 }
                try await etcd.write([(FaultyNetwork.key(0), nil)])
                let deleted = ContinuousClock.now
                try await waitFor("a second of clients") { arrivals.rounds(from: deleted + .seconds(2)).count >= 100 }
                let late = leaving.dials.map(\.at).filter { $0 > deleted }
                let last = late.max().map { $0 - deleted } ?? .zero
                report(last, "D14: the last connection to a deleted instance", promise: .milliseconds(50))
                #expect(last < .seconds(2))
                #expect(arrivals.rounds(from: deleted + .seconds(2)).share(of: "staying") == 1)
                #expect(arrivals.failures.isEmpty)
            }
            let answers = try await blocking { try flows.map { try $0.0.exchange("still here") } }
            #expect(answers.allSatisfy { $0 == "still here" })
            #expect(leaving.openConnections == count)
        }
    }
}
