// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
private import Relay

/// What `proxy` and `forward` have in common.
package struct RelaySettings: Hashable, Sendable {
    /// Worker threads, 1...256.
    package let workers: Int
    /// How long connections may go on after the first signal.
    package let shutdownGrace: Duration

    /// One thread a core is the most that helps; 256 is beyond any host this runs on, and keeps a slip of the finger
    /// (`--workers 10000`) from taking a host's memory.
    private static let workerRange = 1...256
    private static let graceRange: ClosedRange<Duration> = .seconds(0) ... .seconds(86_400)

    package init(settings: SettingValues) throws(UsageError) {
        workers =
            try settings.value(.workers) { text in
                text.utf8.allSatisfy { (48...57).contains($0) }
                    ? Int(text).flatMap { Self.workerRange.contains($0) ? $0 : nil } : nil
            } ?? min(RelayConfiguration.usableCores, Self.workerRange.upperBound)
        shutdownGrace = try settings.duration(.shutdownGrace, in: Self.graceRange) ?? .seconds(30)
    }
}

extension SettingValues {
    package func logLevel(default level: Logger.Level = .info) throws(UsageError) -> Logger.Level {
        try value(.logLevel) { Logger.Level(rawValue: $0) } ?? level
    }
}
