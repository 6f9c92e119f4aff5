// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import Synchronization

/// A log that tests read.
final class LogRecorder: Sendable {
    struct Line: Sendable {
        let level: Logger.Level
        let message: String
        let metadata: Logger.Metadata

        func text(_ key: String) -> String? { metadata[key].map { "\($0)" } }
    }

    private let recorded = Mutex<[Line]>([])

    func lines(_ message: String) -> [Line] { recorded.withLock { $0 }.filter { $0.message == message } }

    var logger: Logger { Logger(label: "test", factory: { _ in Handler(recorder: self) }) }

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
