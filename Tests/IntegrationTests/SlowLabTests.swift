// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// What takes an engine minutes: `make slow` runs these.
@Suite(.tags(.integration), .timeLimit(.minutes(20)))
struct SlowLabTests {
    @Test(.row("R2", "R9")) func aFloodBeyondWhatTheEngineKeepsIsSleptThrough() async throws {
        try await FloodScene.isSleptThrough(500)
    }
}
