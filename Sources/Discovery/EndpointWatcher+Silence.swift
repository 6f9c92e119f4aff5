// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Synchronization

// MARK: When the registry says nothing for too long

extension EndpointWatcher {
    /// How often links that do not wait for ever look at how long it has been: what they promise is in seconds.
    private static let silenceInterval = Duration.milliseconds(200)

    func watchSilence() async throws {
        while true {
            try await clock.sleep(for: Self.silenceInterval)
            let silence = store.health.staleSince.map { $0.duration(to: .now) }
            let changed = state.withLock { $0.tables.silent(for: silence) }
            guard !changed.isEmpty else { continue }
            for service in changed { log.believes(silence == nil, in: service, silence: silence) }
            changes.raise()
        }
    }
}
