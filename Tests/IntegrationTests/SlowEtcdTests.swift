// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// What takes the etcd client a minute of a core and more, built for debugging: `make slow` runs these.
@Suite(.tags(.integration), .timeLimit(.minutes(20)))
struct SlowEtcdTests {
    @Test(arguments: EtcdProcess.Version.allCases)
    func fiveThousandPutsInARowAndTwentyThousandOfSixteenCallersLiveOnOneConnection(
        version: EtcdProcess.Version
    ) async throws {
        try await EtcdClientTests.livesOnOneConnection(version, inARow: 5000, each: 1250)
    }
}
