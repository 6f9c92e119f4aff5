// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

/// The rule alone, with readings made up: looks at seconds 10, 15, 20...
@Suite struct PeerWatchTests {
    private static let second: UInt64 = 1_000_000_000
    private static let limits = PeerWatch.Limits(DeadPeerPolicy())
    /// Any time but 0, as CLOCK_MONOTONIC has it.
    private static let start: UInt64 = 5_000 * second

    /// - Parameter answeredAt: seconds after the start at which the peer answered last; may be before it.
    private func look(
        _ watch: inout PeerWatch, at seconds: Int, retransmits: Int = 0, probes: Int = 0, answeredAt: Int = 0
    ) -> PeerWatch.Verdict {
        let reading = PeerWatch.Reading(
            unansweredRetransmits: retransmits, unansweredProbes: probes,
            sinceLastAnswer: UInt64(seconds - answeredAt) * Self.second
        )
        return watch.looked(reading, now: Self.start + UInt64(seconds) * Self.second, limits: Self.limits)
    }

    @Test(arguments: [(6, 0), (0, 1)])
    func deadAfterThirtySecondsWithoutAnyAnswer(retransmits: Int, probes: Int) {
        var watch = PeerWatch()
        for seconds in stride(from: 10, to: 40, by: 5) {
            #expect(look(&watch, at: seconds, retransmits: retransmits, probes: probes) == .silent)
        }
        #expect(look(&watch, at: 40, retransmits: retransmits, probes: probes) == .dead)
    }

    /// Data that is sent after an hour's rest is not unanswered for an hour.
    @Test func silenceBeforeTheDataDoesNotCount() {
        var watch = PeerWatch()
        #expect(look(&watch, at: 10, retransmits: 1, answeredAt: -3_600) == .silent)
        #expect(look(&watch, at: 35, retransmits: 5, answeredAt: -3_600) == .silent)
        #expect(look(&watch, at: 40, retransmits: 5, answeredAt: -3_600) == .dead)
    }

    /// Its probes are answered before the next look, except for one now and then that has just been sent.
    @Test func slowReaderIsAliveForEver() {
        var watch = PeerWatch()
        for seconds in stride(from: 10, through: 1_000, by: 5) {
            let verdict = look(&watch, at: seconds, probes: seconds % 20 == 0 ? 1 : 0, answeredAt: seconds - 1)
            #expect(verdict != .dead)
        }
    }

    /// A probe on its way at each of the looks, and each of them answered: only the time of the answer tells.
    @Test func answersBetweenTheLooksBeginTheSilenceAnew() {
        var watch = PeerWatch()
        for seconds in stride(from: 10, through: 200, by: 5) {
            #expect(look(&watch, at: seconds, retransmits: 1, answeredAt: seconds - 2) == .silent)
        }
        for seconds in stride(from: 205, to: 230, by: 5) {
            #expect(look(&watch, at: seconds, retransmits: 3, answeredAt: 198) == .silent)
        }
        #expect(look(&watch, at: 230, retransmits: 3, answeredAt: 198) == .dead)
    }

    @Test func acknowledgedBytesEndTheWatch() {
        var watch = PeerWatch()
        for seconds in stride(from: 10, to: 40, by: 5) { _ = look(&watch, at: seconds, retransmits: 2) }
        #expect(watch.looked(nil, now: Self.start + 40 * Self.second, limits: Self.limits) == .alive)
        #expect(look(&watch, at: 45, retransmits: 2) == .silent)
    }
}
