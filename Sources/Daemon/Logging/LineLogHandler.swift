// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

private import Glibc
package import Logging

/// Writes each message as one line to standard error: `2026-11-22T11:00:00.123Z info "listening" link=pg address=…`.
///
/// Time is UTC; then level, the message in quotes, and the metadata in the order of its keys. One `write` a line, so
/// that the lines of several threads do not mix; a line that standard error refuses is lost.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let sink: @Sendable (String) -> Void

    package init(level: Logger.Level, sink: @escaping @Sendable (String) -> Void = Self.writeToStandardError) {
        logLevel = level
        self.sink = sink
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { $1 } }
        if let own = event.metadata { all.merge(own) { $1 } }
        if let error = event.error { all["error"] = all["error"] ?? "\(error)" }
        sink(Self.line(time: Self.timestamp(), level: event.level, message: "\(event.message)", metadata: all))
    }

    /// - Returns: the line, its newline included.
    package static func line(
        time: String, level: Logger.Level, message: String, metadata: Logger.Metadata
    ) -> String {
        var line = "\(time) \(level.rawValue) \"\(LogText.escaped(message))\""
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(LogText.value("\(value)"))"
        }
        return line + "\n"
    }

    /// Now, RFC 3339 in UTC with milliseconds.
    package static func timestamp() -> String {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        var parts = tm()
        gmtime_r(&now.tv_sec, &parts)
        let two = { (number: Int32) in number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = String(1000 + now.tv_nsec / 1_000_000).dropFirst()
        let day = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
        return "\(day)T\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)Z"
    }

    @Sendable package static func writeToStandardError(_ line: String) { _ = write(line, to: STDERR_FILENO) }

    /// - Returns: whether the descriptor took all of it.
    static func write(_ text: String, to descriptor: Int32) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            var offset = 0
            while offset < bytes.count {
                let rest = UnsafeBufferPointer(rebasing: bytes[offset...])
                let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return false }
                offset += written
            }
            return true
        }
    }
}
