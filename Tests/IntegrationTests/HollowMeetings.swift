// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// docs/promises.md, "Defaults".
enum Ejection {
    /// In a row, they take an instance out of use.
    static let failures = 3
    /// For so long the first time.
    static let outOfUse = Duration.seconds(5)
}

/// Clients, one after the other, some of which meet an instance that accepts and ends at once, until it is out of use.
struct HollowMeetings {
    private var hasty = 0
    private var slow = 0

    var count: Int { hasty + slow }

    /// Sends clients until nobody has met it for nearly as long as it is out of use: the looks of a test are not instants.
    /// - Parameter isServed: whether one client was served, by somebody else.
    mutating func untilOutOfUse(_ isServed: () async throws -> Bool) async throws {
        var since = ContinuousClock.now
        try await waitFor("clients while it is out of use", within: .seconds(30)) {
            let begun = ContinuousClock.now
            if try await !isServed() {
                since = .now
                // On a busy machine the end may be seen too late to count.
                if since - begun < .milliseconds(100) { hasty += 1 } else { slow += 1 }
            }
            return ContinuousClock.now - since > Ejection.outOfUse - .seconds(1)
        }
        print("D3: \(hasty) clients, and \(slow) too slowly, met the hollow instance")
    }

    /// One that is seen too late ends the row, of which there were two at the most.
    func expectARow(sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(hasty <= Ejection.failures + (Ejection.failures - 1) * slow, sourceLocation: sourceLocation)
        #expect(count >= Ejection.failures, sourceLocation: sourceLocation)
    }
}
