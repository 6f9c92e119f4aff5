// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import NIOCore
import Testing

@testable import Etcd

@Suite struct HTTP2PingFilterTests {
    /// A frame as RFC 9113 lays it out.
    private static func frame(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: [UInt8] = []) -> [UInt8] {
        let length = UInt32(payload.count)
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + [UInt8(stream >> 24), UInt8(stream >> 16 & 255), UInt8(stream >> 8 & 255), UInt8(stream & 255)] + payload
    }

    private static let settings = frame(type: 4, payload: [0, 3, 0, 0, 0, 100])
    private static let settingsAcknowledged = frame(type: 4, flags: 1)
    private static let data = frame(type: 0, stream: 1, payload: Array(1...40))
    private static let acknowledged = frame(type: 6, flags: 1, payload: [9, 9, 9, 9, 9, 9, 9, 9])
    private static let ping = frame(type: 6, payload: [1, 2, 3, 4, 5, 6, 7, 8])
    private static let otherPing = frame(type: 6, payload: [8, 7, 6, 5, 4, 3, 2, 1])
    /// A DATA payload that looks like a PING frame is still payload.
    private static let disguised = frame(type: 0, stream: 3, payload: ping)

    /// Last stream 5, ENHANCE_YOUR_CALM, and what Go's server says with it.
    private static let goAway = frame(type: 7, payload: [0, 0, 0, 5, 0, 0, 0, 0xb] + Array("too_many_pings".utf8))

    private static let stream =
        settings + ping + settingsAcknowledged + data + ping + otherPing + acknowledged + goAway + disguised + otherPing
    private static let rest = settings + settingsAcknowledged + data + acknowledged + goAway + disguised
    private static let answers: [UInt64] = [
        0x0102_0304_0506_0708, 0x0102_0304_0506_0708, 0x0807_0605_0403_0201, 0x0807_0605_0403_0201,
    ]

    private func run(_ pieces: [ArraySlice<UInt8>]) -> (passed: [UInt8], answered: [UInt64], reasons: [UInt32]) {
        var filter = HTTP2PingFilter()
        var passed: [UInt8] = []
        var answered: [UInt64] = []
        var reasons: [UInt32] = []
        for piece in pieces {
            for output in filter.consume(ByteBuffer(bytes: piece)) {
                switch output {
                case .forward(let bytes): passed += Array(bytes.readableBytesView)
                case .answer(let payload): answered.append(payload)
                case .goAway(let code): reasons.append(code)
                }
            }
        }
        return (passed, answered, reasons)
    }

    @Test func answersPingsAndPassesTheRestInOnePiece() {
        let result = run([Self.stream[...]])
        #expect(result.passed == Self.rest)
        #expect(result.answered == Self.answers)
    }

    @Test func sameOutcomeForEverySplitInTwo() {
        for cut in 0...Self.stream.count {
            let result = run([Self.stream[..<cut], Self.stream[cut...]])
            #expect(result.passed == Self.rest, "cut at \(cut)")
            #expect(result.answered == Self.answers, "cut at \(cut)")
            #expect(result.reasons == [0xb], "cut at \(cut)")
        }
    }

    @Test func sameOutcomeForEverySplitInThree() async {
        for first in 0...Self.stream.count {
            // Tests beside it have clocks to keep.
            await Task.yield()
            for second in first...Self.stream.count {
                let result = run([Self.stream[..<first], Self.stream[first..<second], Self.stream[second...]])
                guard result.passed == Self.rest, result.answered == Self.answers, result.reasons == [0xb] else {
                    Issue.record("cut at \(first) and \(second)")
                    return
                }
            }
        }
    }

    @Test func sameOutcomeByteByByte() {
        let result = run(Self.stream.indices.map { Self.stream[$0...$0] })
        #expect(result.passed == Self.rest)
        #expect(result.answered == Self.answers)
    }

    @Test func leavesAPingOfTheWrongLengthToTheHTTP2Handler() {
        let wrong = Self.frame(type: 6, payload: [1, 2, 3])
        let result = run([wrong[...]])
        #expect(result.passed == wrong)
        #expect(result.answered.isEmpty)
    }

    @Test func holdsBackNothingOfAFrameThatIsNoPing() {
        var filter = HTTP2PingFilter()
        let outputs = filter.consume(ByteBuffer(bytes: Self.data.prefix(20)))
        #expect(outputs == [.forward(ByteBuffer(bytes: Self.data.prefix(20)))])
    }
}
