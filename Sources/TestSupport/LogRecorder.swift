// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
import Synchronization

/// A log that tests read.
package final class LogRecorder: Sendable {
    package struct Line: Sendable {
        package let level: Logger.Level
        package let message: String
        package let metadata: Logger.Metadata

        package func text(_ key: String) -> String? { metadata[key].map { "\($0)" } }
    }

    private let recorded = Mutex<[Line]>([])

    package init() {}

    /// Everything that was logged, in order.
    package var lines: [Line] { recorded.withLock { $0 } }

    package func lines(_ message: String) -> [Line] { lines.filter { $0.message == message } }

    package func count(of message: String) -> Int { lines(message).count }

    package var logger: Logger { Logger(label: "test", factory: { _ in Handler(recorder: self) }) }

    private struct Handler: LogHandler {
        let recorder: LogRecorder
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        init(recorder: LogRecorder) { self.recorder = recorder }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = Line(level: event.level, message: "\(event.message)", metadata: event.metadata ?? [:])
            recorder.recorded.withLock { $0.append(line) }
        }
    }
}
