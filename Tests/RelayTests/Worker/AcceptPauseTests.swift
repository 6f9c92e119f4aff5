// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Testing

@testable import Relay

@Suite struct AcceptPauseTests {
    private static let millisecond: UInt64 = 1_000_000

    @Test func pausesDoubleUpToASecondWhileAcceptingFails() {
        var pause = AcceptPause()
        var lengths: [UInt64] = []
        for _ in 0..<6 {
            pause.failed(now: 0)
            lengths.append((pause.until ?? 0) / Self.millisecond)
            pause.retried()
        }
        #expect(lengths == [100, 200, 400, 800, 1_000, 1_000])
        #expect(pause.isInForce && !pause.isPaused)
    }

    @Test func successShortensTheNextPauseAndTheEndForgetsIt() {
        var pause = AcceptPause()
        pause.failed(now: 0)
        pause.retried()
        pause.succeeded()
        pause.failed(now: 0)
        #expect(pause.until == 100 * Self.millisecond)
        pause.ended()
        #expect(!pause.isInForce && pause.until == nil)
    }
}
