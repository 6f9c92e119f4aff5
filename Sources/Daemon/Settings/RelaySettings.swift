// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Relay

/// What `proxy` and `forward` have in common.
package struct RelaySettings: Hashable, Sendable {
    /// Worker threads, 1...256.
    package let workers: Int
    /// Connections that may be open at once, 1...1,000,000; nil for what the descriptors allow.
    package let maxConnections: Int?
    package let limits: ConnectionLimits
    /// Who may connect to a Unix socket: permission bits, 0o001...0o777.
    package let socketMode: UInt32
    /// How long connections may go on after the first signal.
    package let shutdownGrace: Duration

    /// One thread a core is the most that helps; 256 is beyond any host this runs on, and keeps a slip of the finger
    /// (`--workers 10000`) from taking a host's memory.
    private static let workerRange = 1...256
    /// A slot of the relay's tables each: beyond what any limit of descriptors allows.
    private static let connectionRange = 1...1_000_000
    private static let timeoutRange: ClosedRange<Duration> = .seconds(1) ... .seconds(720 * 3600)
    private static let graceRange: ClosedRange<Duration> = .seconds(0) ... .seconds(86_400)

    package init(settings: SettingValues) throws(UsageError) {
        workers =
            try settings.count(.workers, in: Self.workerRange)
            ?? min(RelayConfiguration.usableCores, Self.workerRange.upperBound)
        maxConnections = try settings.count(.maxConnections, in: Self.connectionRange)
        limits = ConnectionLimits(
            idle: try settings.timeout(.idleTimeout, in: Self.timeoutRange),
            halfClosed: try settings.timeout(.halfClosedTimeout, in: Self.timeoutRange))
        socketMode = try settings.value(.socketMode, Self.mode) ?? 0o600
        shutdownGrace = try settings.duration(.shutdownGrace, in: Self.graceRange) ?? .seconds(30)
    }

    /// As chmod(1) takes it, without the bits that say nothing of a socket.
    private static func mode(_ text: String) -> UInt32? {
        let digits = text.utf8.count == 4 && text.hasPrefix("0") ? text.dropFirst() : text[...]
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ (48...55).contains($0) }) else { return nil }
        return UInt32(digits, radix: 8)
    }
}

extension SettingValues {
    /// A number in decimal digits.
    fileprivate func count(_ name: SettingName, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
        try value(name) { text in
            guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
            return Int(text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// - Returns: nil for none, which is also what 0 says.
    fileprivate func timeout(
        _ name: SettingName, in range: ClosedRange<Duration>
    ) throws(UsageError) -> Duration? {
        let given = try value(name) { text -> Duration? in
            DurationText.parse(text).flatMap { $0 == .zero || range.contains($0) ? $0 : nil }
        }
        return given == .zero ? nil : given
    }

    package func logLevel(default level: Logger.Level = .info) throws(UsageError) -> Logger.Level {
        try value(.logLevel) { Logger.Level(rawValue: $0) } ?? level
    }
}
