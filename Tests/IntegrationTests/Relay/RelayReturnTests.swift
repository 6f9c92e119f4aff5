// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// An instance that comes back, and one that is new: docs/promises.md, "Instances that fail".
@Suite(.tags(.integration), .untilHung)
struct RelayReturnTests {
    /// How long the share of an instance grows that was out of use.
    private static let ramp = Duration.seconds(10)

    @Test(.row("D15")) func theShareOfAnInstanceThatComesBackGrows() async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let backends = try await faults.backends("flapping", "steady")
            let flapping = backends[0].endpoint
            let proxy = try await faults.proxy(backends.map(\.endpoint))
            let round = { @Sendable in try ClientLoop.round(to: proxy.endpoint) }
            try await withArrivals(perSecond: 100, in: faults.network, round) { arrivals in
                try await waitFor("both") { Set(arrivals.rounds.compactMap(\.name)).count == 2 }
                try await arrivals.betweenRounds { try await faults.refuse(flapping) }
                try await waitFor("three failures") { try await faults.callers(of: flapping) >= 3 }
                // What is dialled from here on is served.
                try await faults.heal()
                let healed = ContinuousClock.now
                // Rounds that began before the third failure was known may be among the first.
                let settled = healed + .seconds(1)
                let back = try await waitForValue("the share to grow", within: .seconds(30)) {
                    arrivals.rounds(from: settled).filter { $0.name == "flapping" }.map(\.at).min()
                }
                report(back - healed, "D15: back in use", promise: .seconds(5))
                try await waitFor("the end of the ramp", within: .seconds(30)) {
                    arrivals.rounds.last.map { $0.at > back + Self.ramp + .seconds(4) } == true
                }
                let shares = (0..<7).map { number in
                    let start = back + .seconds(2 * number)
                    return arrivals.rounds(from: start, to: start + .seconds(2)).share(of: "flapping")
                }
                print("D15: share by 2 s since it came back: \(shares.map { Int(($0 * 100).rounded()) }) %")
                #expect(shares[0] < 0.25, "at first")
                #expect(shares[0] < shares[2] && shares[2] < shares[6], "growing")
                #expect(shares[6] > 0.4 && shares[6] < 0.6, "at last")
                #expect(arrivals.failures.isEmpty)
            }
        }
    }

    /// Nothing was wrong with it.
    @Test(.row("D15")) func aNewInstanceHasItsShareAtOnce() async throws {
        try await withFaultyNetwork { faults in
            let backends = try await faults.backends("old", "new")
            let (proxy, etcd) = try await faults.proxyAndEtcd([backends[0].endpoint])
            let round = { @Sendable in try ClientLoop.round(to: proxy.endpoint) }
            try await withArrivals(perSecond: 100, in: faults.network, round) { arrivals in
                try await waitFor("the old one") { arrivals.rounds.count > 20 }
                try await etcd.putInstance(FaultyNetwork.key(1), backends[1].endpoint)
                let back = try await waitForValue("the new one") {
                    arrivals.rounds.filter { $0.name == "new" }.map(\.at).min()
                }
                try await waitFor("two seconds of clients") { arrivals.rounds(from: back + .seconds(2)).count > 20 }
                let first = arrivals.rounds(from: back, to: back + .seconds(2))
                #expect(first.count >= 50, "too few to tell a share by")
                let share = first.share(of: "new")
                print("D15: share of a new instance in its first 2 s: \(Int((share * 100).rounded())) %")
                #expect(share > 0.4 && share < 0.6)
                #expect(arrivals.failures.isEmpty)
            }
        }
    }
}
