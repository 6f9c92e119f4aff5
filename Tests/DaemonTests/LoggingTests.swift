// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Logging
import Synchronization
import Testing

@Suite struct LogTextTests {
    @Test(arguments: [
        ("plain", "plain"), ("[::]:6379", "[::]:6379"), ("", "\"\""), ("two words", "\"two words\""),
        ("a=b", "\"a=b\""),
        ("say \"hi\"", "\"say \\\"hi\\\"\""), ("back\\slash", "\"back\\\\slash\""),
        ("line\nbreak\r\t", "\"line\\nbreak\\r\\t\""), ("\u{1b}[31mred", "\"\\u{1b}[31mred\""),
        ("\u{202e}txt", "\"\\u{202e}txt\""), ("\u{2028}", "\"\\u{2028}\""), ("\u{85}", "\"\\u{85}\""), ("é", "\"é\""),
    ])
    func quotesWhatCouldBreakALine(text: String, shown: String) {
        #expect(LogText.value(text) == shown)
    }

    @Test func cutsWhatIsTooLong() {
        let long = String(repeating: "x", count: LogText.maximumLength + 1)
        #expect(LogText.escaped(long) == String(repeating: "x", count: LogText.maximumLength) + "…")
        #expect(LogText.value(long).count == LogText.maximumLength + 3)
        #expect(LogText.escaped(String(long.dropLast())) == String(long.dropLast()))
    }
}

@Suite struct LineLogHandlerTests {
    @Test func writesOneLineWithTheMetadataInOrder() {
        let line = LineLogHandler.line(
            time: "2026-11-22T11:00:00.123Z", level: .info, message: "listening\nor not",
            metadata: ["link": "redis-A", "address": "[::]:6379", "error": "a b"])
        #expect(
            line
                == "2026-11-22T11:00:00.123Z info \"listening\\nor not\" address=[::]:6379 error=\"a b\" link=redis-A\n"
        )
    }

    @Test func stampsTimeInUTCWithMilliseconds() throws {
        let form = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/
        #expect(LineLogHandler.timestamp().wholeMatch(of: form) != nil)
    }

    @Test func keepsToItsLevelAndMergesMetadata() {
        let lines = Mutex<[String]>([])
        let sink = { @Sendable (line: String) in lines.withLock { $0.append(line) } }
        var logger = Logger(label: "test") { _ in LineLogHandler(level: .info, sink: sink) }
        logger[metadataKey: "link"] = "a"
        logger.debug("unseen")
        logger.warning("seen", metadata: ["link": "b", "n": "1"])
        let seen = lines.withLock { $0 }
        #expect(seen.count == 1)
        #expect(seen.first?.hasSuffix(" warning \"seen\" link=b n=1\n") == true)
    }
}

@Suite struct RepeatCounterTests {
    @Test func tellsTheFirstAndSumsUpTheRest() {
        var counter = RepeatCounter<String>()
        let start = ContinuousClock.now
        let result1 = counter.occurred("a", now: start)
        #expect(result1)
        let result2 = counter.occurred("a", now: start + .seconds(1))
        #expect(!result2)
        let result3 = counter.occurred("a", now: start + .seconds(2))
        #expect(!result3)
        let result4 = counter.occurred("b", now: start + .seconds(2))
        #expect(result4)
        let result5 = counter.summaries(now: start + .seconds(9))
        #expect(result5.isEmpty)
        let summaries = counter.summaries(now: start + .seconds(12))
        #expect(summaries.map(\.kind) == ["a"])
        #expect(summaries.map(\.repeats) == [2])
    }

    @Test func tellsAgainAfterAPeriodWithoutRepeats() {
        var counter = RepeatCounter<String>()
        let start = ContinuousClock.now
        let result6 = counter.occurred("a", now: start)
        #expect(result6)
        let result7 = counter.occurred("a", now: start + .seconds(3))
        #expect(!result7)
        let result8 = counter.summaries(now: start + .seconds(10))
        #expect(result8.count == 1)
        let result9 = counter.occurred("a", now: start + .seconds(11))
        #expect(!result9)
        let result10 = counter.summaries(now: start + .seconds(20))
        #expect(result10.map(\.repeats) == [1])
        let result11 = counter.summaries(now: start + .seconds(30))
        #expect(result11.isEmpty)
        let result12 = counter.occurred("a", now: start + .seconds(31))
        #expect(result12)
    }
}
