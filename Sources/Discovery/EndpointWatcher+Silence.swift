// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Synchronization

// MARK: When the registry says nothing for too long

extension EndpointWatcher {
    /// How often links that do not wait for ever look at how long it has been: what they promise is in seconds.
    private static let silenceInterval = Duration.milliseconds(200)

    /// How long the registry has said nothing; nil while it speaks.
    var silence: Duration? { store.health.staleSince.map { $0.duration(to: .now) } }

    func watchSilence() async throws {
        while true {
            try await clock.sleep(for: Self.silenceInterval)
            let silence = silence
            let changed = state.withLock { $0.tables.silent(for: silence, now: elapsed()) }
            guard !changed.isEmpty else { continue }
            for belief in changed { log.believes(belief) }
            changes.raise()
        }
    }
}
