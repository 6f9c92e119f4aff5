// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Instances that look bad are taken out of use, and come back: docs/promises.md, "Defaults". Seen from
/// outside: whom the relay still dials.
@Suite(.tags(.integration), .untilHung)
struct RelayEjectionTests {
    /// For which a silent instance is not dialled after the attempt that takes it out of use: until that has failed
    /// (docs/promises.md, "Defaults"), and from then on.
    private static let untilNext = Duration.seconds(1) + Ejection.outOfUse

    @Test(.row("D2")) func threeSilentAttemptsTakeAnInstanceOutOfUse() async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let backends = try await faults.backends("bad", "A", "B")
            let bad = backends[0].endpoint
            let proxy = try await faults.proxy(backends.map(\.endpoint))
            try await waitFor("the one to be used") { try await faults.servedBy(proxy) == "bad" }
            try await faults.blackhole(bad)
            // Clients come one after the other: their attempts are failures in a row.
            try await withClientLoop(to: proxy.endpoint, in: faults.network) { loop in
                try await waitFor("another attempt", within: Self.untilNext * 3) {
                    try await faults.callers(of: bad) > Ejection.failures
                }
                let calls = try await faults.calls(of: bad)
                let pause = calls[Ejection.failures] - calls[Ejection.failures - 1]
                report(pause, "D2: not dialled after the third silent attempt", promise: Self.untilNext)
                // The kernel's clock ticks every 4 or 10 ms.
                #expect(pause > Self.untilNext - .milliseconds(50))
                let third = calls[Ejection.failures - 1] - calls[0]
                #expect(third < Ejection.outOfUse, "the first three came one after the other")
                #expect(loop.failures.isEmpty)
                let slow = loop.rounds.count { $0.took > .milliseconds(900) }
                print("D2: \(slow) of \(loop.rounds.count) clients waited for the silent instance")
            }
        }
    }

    /// With the clients' bytes and without them: it is the instance's bytes that count.
    @Test(.row("D3"), arguments: [false, true])
    func threeConnectionsThatTheInstanceEndsAtOnceTakeItOutOfUse(clientSpeaksFirst: Bool) async throws {
        try await withFaultyNetwork(.waiting) { faults in
            // As Docker's userland proxy does for a port behind which nobody listens.
            let hollow = try await faults.backend(1) { _ in }
            let good = try await faults.backend(2, Backend.naming("good"))
            let proxy = try await faults.proxy([hollow.endpoint, good.endpoint])
            var meetings = HollowMeetings()
            try await meetings.untilOutOfUse {
                try await faults.network.run {
                    let client = try TCPConnection.connect(to: proxy.endpoint)
                    if clientSpeaksFirst { try client.send("hello\n") }
                    do { return try client.receiveLine() == "good" } catch { return false }
                }
            }
            meetings.expectARow()
            #expect(hollow.dials.count == meetings.count)
        }
    }

    /// A health check that only connects says nothing of the instance behind.
    @Test(.row("D3")) func connectionsThatTheClientEndsAtOnceAreNoFailures() async throws {
        try await withFaultyNetwork { faults in
            let backends = try await ["A", "B"].asyncMap { name in
                try await faults.backend(name == "A" ? 1 : 2) { connection in
                    guard try connection.receiveLine() != nil else { return }
                    try connection.send(name + "\n")
                }
            }
            let proxy = try await faults.proxy(backends.map(\.endpoint))
            for count in 1...(4 * Ejection.failures) {
                let probe = try await faults.connect(proxy)
                try await waitFor("the probe to arrive") { backends.map(\.dials.count).reduce(0, +) == count }
                probe.close()
                try await waitFor("its end") { backends.allSatisfy { $0.openConnections == 0 } }
            }
            var names: [String] = []
            for _ in 0..<6 {
                let name = try await faults.network.run {
                    try TCPConnection.connect(to: proxy.endpoint).exchange("who?")
                }
                names.append(name ?? "an end")
            }
            #expect(Set(names) == ["A", "B"], "\(names)")
        }
    }

    @Test(.row("D5")) func atMostHalfOfTheInstancesAreTakenOutOfUse() async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let backends = try await faults.backends("A", "B", "C", "D", "E")
            let bad = backends.prefix(3).map(\.endpoint)
            let proxy = try await faults.proxy(backends.map(\.endpoint))
            try await waitFor("all to be used") {
                _ = try await faults.servedBy(proxy)
                return backends.allSatisfy { !$0.dials.isEmpty }
            }
            try await faults.blackhole(bad[0], bad[1], bad[2])
            let round = { @Sendable in try ClientLoop.round(to: proxy.endpoint, limit: .seconds(30)) }
            try await withArrivals(perSecond: 20, in: faults.network, round) { arrivals in
                try await waitFor("failures of all three") {
                    try await bad.asyncMap { try await faults.callers(of: $0) }.allSatisfy { $0 >= Ejection.failures }
                }
                // From now on nobody's third attempt is still to come.
                let over = ContinuousClock.now + Self.untilNext
                try await waitFor("the time out of use to be over", within: Self.untilNext * 3) {
                    arrivals.rounds.last.map { $0.at > over } == true
                }
                let calls = try await faults.calls(ofEach: bad)
                let third = calls.map { $0[Ejection.failures - 1] }
                // All of these attempts have failed, and nobody comes back yet.
                let begin = (third.max() ?? .now) + .milliseconds(1500)
                let end = (third.min() ?? .now) + Self.untilNext
                try #require(end - begin > .milliseconds(1500), "they failed one after the other: \(third)")
                let attempts = calls.map { calls in calls.count { $0 > begin && $0 < end } }.sorted()
                print("D5: attempts at three silent of five in \((end - begin).milliseconds) ms: \(attempts)")
                // Of 20 clients a second the third has a third; one or two may have been on their way to the others.
                #expect(attempts[1] <= 2, "two are out of use")
                #expect(attempts[2] > 6, "the third is not: it would be more than half")
                // Who is in use and bad costs its clients a second, not their connection.
                #expect(arrivals.failures.isEmpty)
            }
        }
    }

    @Test(.row("D5")) func whenAllLookBadAllAreUsed() async throws {
        try await withFaultyNetwork(.waiting) { faults in
            let backends = try await faults.backends("A", "B")
            let proxy = try await faults.proxy(backends.map(\.endpoint))
            for backend in backends { try await faults.refuse(backend.endpoint) }
            // Rounds of attempts for as long as the client is there: far more than three failures each.
            _ = try await faults.network.run {
                StreamEnd(of: try TCPConnection.connect(to: proxy.endpoint, limit: .seconds(30)))
            }
            for backend in backends { #expect(try await faults.callers(of: backend.endpoint) >= Ejection.failures) }
            try await faults.heal()
            let healed = ContinuousClock.now
            // Long before the time of any of them is over.
            let name = try await faults.servedBy(proxy)
            report(ContinuousClock.now - healed, "D5: served when all had failed", promise: .milliseconds(250))
            #expect(ContinuousClock.now - healed < .seconds(2))
            #expect(["A", "B"].contains(name))
        }
    }
}
