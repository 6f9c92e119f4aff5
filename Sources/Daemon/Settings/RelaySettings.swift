// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
package import Logging

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
            } ?? Self.usableCores
        shutdownGrace = try settings.duration(.shutdownGrace, in: Self.graceRange) ?? .seconds(30)
    }

    /// The cores that the scheduler may put this process on (cpusets of containers and `taskset` included), from the
    /// kernel's own mask in /proc/self/status: Glibc's module hides `sched_getaffinity`.
    package static var usableCores: Int {
        guard let file = fopen("/proc/self/status", "re") else { return 1 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if let mask = text.split(separator: ":").last, text.hasPrefix("Cpus_allowed:") {
                return min(max(1, countBits(ofHexadecimal: mask)), workerRange.upperBound)
            }
        }
        return 1
    }

    /// - Parameter mask: groups of hexadecimal digits with commas between them: `ff,ffffffff`.
    static func countBits(ofHexadecimal mask: some StringProtocol) -> Int {
        mask.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
    }
}

extension SettingValues {
    package func logLevel() throws(UsageError) -> Logger.Level {
        try value(.logLevel) { Logger.Level(rawValue: $0) } ?? .info
    }
}
