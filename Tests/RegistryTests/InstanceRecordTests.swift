// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@Suite struct InstanceRecordTests {
    private func decode(_ text: String) throws(SkipReason) -> InstanceRecord {
        try InstanceRecord(decoding: Array(text.utf8))
    }

    @Test func readsTheWholeForm() throws {
        let record = try decode(
            """
            {"v":1,"host":"10.77.0.1","port":32768,"proto":"tcp","node":"hostA","container":"redis-demo.service",
             "weight":50,"priority":-1,"tags":["primary","é"],"meta":{"version":"7.0","n":12,"deep":{"a":[1.50]}},
             "state":"draining","since":"2026-11-22T11:00:00Z"}
            """)
        #expect(record.host == "10.77.0.1")
        #expect(record.port == 32768)
        #expect(record.endpoint == Endpoint("10.77.0.1:32768"))
        #expect(record.proto == "tcp" && record.tcpProblem == nil)
        #expect(record.node == "hostA" && record.container == "redis-demo.service")
        #expect(record.weight == 50 && record.priority == -1)
        #expect(record.tags == ["primary", "é"])
        #expect(record.meta["version"] == .string("7.0") && record.meta["n"]?.integer == 12)
        #expect(record.state == .draining)
        #expect(record.since == "2026-11-22T11:00:00Z")
    }

    @Test func readsTheArticlesOwnFormWithDefaults() throws {
        let record = try decode(#"{"port":49153,"host":"10.0.0.1"}"#)
        #expect(record.endpoint == Endpoint("10.0.0.1:49153"))
        #expect(record.proto == "tcp" && record.weight == 100 && record.priority == 0 && record.state == .up)
        #expect(record.tags.isEmpty && record.meta.isEmpty && record.node == nil && record.since == nil)
    }

    @Test func writesFieldsInOrder() throws {
        var record = InstanceRecord(endpoint: try #require(Endpoint("[fd00::1]:6379")))
        record.node = "h\"1\n"
        record.tags = ["a"]
        record.meta = ["n": .integer(7), "s": .string("x")]
        record.since = "2026-11-22T11:00:00Z"
        #expect(
            String(decoding: record.encoded(), as: UTF8.self)
                == #"{"v":1,"host":"fd00::1","port":6379,"proto":"tcp","node":"h\"1\u000a","weight":100,"priority":0,"#
                + #""tags":["a"],"meta":{"n":7,"s":"x"},"state":"up","since":"2026-11-22T11:00:00Z"}"#)
        #expect(try InstanceRecord(decoding: record.encoded()) == record)
    }

    @Test func keepsUnknownFieldsOnRewrite() throws {
        var record = try decode(
            #"{"zeta":[1,{"x":1.0e2}],"host":"10.0.0.1","port":1,"alpha":null,"big":18446744073709551616}"#)
        record.state = .draining
        let written = String(decoding: record.encoded(), as: UTF8.self)
        #expect(
            written.hasSuffix(#""state":"draining","zeta":[1,{"x":1.0e2}],"alpha":null,"big":18446744073709551616}"#))
    }

    @Test func normalisesMappedAddresses() throws {
        #expect(try decode(#"{"host":"::ffff:10.0.0.1","port":1}"#).host == "10.0.0.1")
        #expect(try decode(#"{"host":"::FFFF:a9fe:a9fe","port":80}"#).host == "169.254.169.254")
    }

    @Test func otherProtocolsAreReadButAreNoMembers() throws {
        #expect(try decode(#"{"host":"10.0.0.1","port":1,"proto":"udp"}"#).tcpProblem == .proto)
    }

    static let refused: [(String, SkipReason)] = [
        ("", .json), ("{", .json), ("[]", .json), ("null", .json), ("{}", .host), (#"{"host":"10.0.0.1"}"#, .port),
        (#"{"port":1}"#, .host), (#"{"host":"10.0.0.1","port":1}x"#, .json), ("\u{feff}{}", .json),
        (#"{"host":"10.0.0.1","port":NaN}"#, .json), (#"{"host":"10.0.0.1","port":01}"#, .json),
        (#"{"host":"10.0.0.1","port":1,}"#, .json), (#"{"host":"10.0.0.1" "port":1}"#, .json),
        (#"{'host':'10.0.0.1'}"#, .json), ("{\"host\":\"10.0.0.1\n\",\"port\":1}", .json),
        (#"{"host":"\ud800","port":1}"#, .json), (#"{"host":"\udc00\ud800","port":1}"#, .json),
        (#"{"host":"\u12"}"#, .json), (#"{"host":"\x"}"#, .json), (#"{"a":tru}"#, .json), (#"{"a":-}"#, .json),
        (#"{"a":1.}"#, .json), (#"{"a":1e}"#, .json), (#"{"a":.5}"#, .json), (#"{"a":+1}"#, .json),
        (#"{"host":"10.0.0.1","host":"10.0.0.2","port":1}"#, .duplicateField),
        (#"{"host":"10.0.0.1","port":1,"meta":{"a":1,"\u0061":2}}"#, .duplicateField),
        (#"{"v":2,"host":"10.0.0.1","port":1}"#, .version), (#"{"v":"1","host":"10.0.0.1","port":1}"#, .version),
        (#"{"host":"10.0.0.1","port":0}"#, .port), (#"{"host":"10.0.0.1","port":65536}"#, .port),
        (#"{"host":"10.0.0.1","port":-1}"#, .port), (#"{"host":"10.0.0.1","port":"80"}"#, .port),
        (#"{"host":"10.0.0.1","port":80.0}"#, .port), (#"{"host":"10.0.0.1","port":8e1}"#, .port),
        (#"{"host":"10.0.0.1","port":99999999999999999999}"#, .port), (#"{"host":"10.0.0.1","port":true}"#, .port),
        (#"{"host":"010.0.0.1","port":1}"#, .host), (#"{"host":"0x7f.0.0.1","port":1}"#, .host),
        (#"{"host":"0x7f000001","port":1}"#, .host), (#"{"host":"2130706433","port":1}"#, .host),
        (#"{"host":"127.1","port":1}"#, .host), (#"{"host":"0x7f.1","port":1}"#, .host),
        (#"{"host":"fe80::1%eth0","port":1}"#, .host), (#"{"host":"[fd00::1]","port":1}"#, .host),
        (#"{"host":"10.0.0.1 ","port":1}"#, .host), (#"{"host":"","port":1}"#, .host),
        (#"{"host":"10.0.0.256","port":1}"#, .host), (#"{"host":"1.2.3.4:5","port":1}"#, .host),
        (#"{"host":167772161,"port":1}"#, .host), (#"{"host":"a b","port":1}"#, .host),
        (#"{"host":"redis.example","port":1}"#, .name), (#"{"host":"localhost","port":1}"#, .name),
        (#"{"host":"10.0.0.1","port":1,"weight":1001}"#, .weight),
        (#"{"host":"10.0.0.1","port":1,"weight":-1}"#, .weight),
        (#"{"host":"10.0.0.1","port":1,"weight":1.5}"#, .weight),
        (#"{"host":"10.0.0.1","port":1,"state":"gone"}"#, .state),
        (#"{"host":"10.0.0.1","port":1,"state":1}"#, .state),
        (#"{"host":"10.0.0.1","port":1,"tags":"a"}"#, .field), (#"{"host":"10.0.0.1","port":1,"tags":[1]}"#, .field),
        (#"{"host":"10.0.0.1","port":1,"meta":[]}"#, .field), (#"{"host":"10.0.0.1","port":1,"node":1}"#, .field),
        (#"{"host":"10.0.0.1","port":1,"priority":"x"}"#, .field),
        (#"{"host":"10.0.0.1","port":1,"proto":6}"#, .field),
    ]

    @Test(arguments: refused)
    func refuses(_ text: String, _ reason: SkipReason) {
        #expect(throws: reason) { try InstanceRecord(decoding: Array(text.utf8)) }
    }

    @Test func refusesInvalidUTF8() {
        for bad: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]] {
            let value = Array(#"{"host":""#.utf8) + bad + Array(#"","port":1}"#.utf8)
            #expect(throws: SkipReason.json) { try InstanceRecord(decoding: value) }
        }
    }

    @Test func nullIsAbsent() throws {
        #expect(try decode(#"{"v":null,"host":"10.0.0.1","port":1,"weight":null,"node":null}"#).weight == 100)
    }

    @Test func depthEndsAtEight() throws {
        func nested(_ depth: Int) -> String {
            let open = String(repeating: "[", count: depth - 1)
            return #"{"host":"10.0.0.1","port":1,"x":"# + open + String(repeating: "]", count: depth - 1) + "}"
        }
        #expect(try decode(nested(8)).port == 1)
        #expect(throws: SkipReason.depth) { try decode(nested(9)) }
        #expect(throws: SkipReason.depth) { try decode(#"{"x":"# + String(repeating: "[", count: 4000)) }
    }

    /// A megabyte, and ten thousand brackets: refused before a byte of them is looked at.
    @Test func hugeValuesCostNothing() {
        let huge = [UInt8](repeating: UInt8(ascii: "["), count: 1 << 20)
        let deep = [UInt8](repeating: UInt8(ascii: "{"), count: 10_000)
        let clock = ContinuousClock()
        let spent = clock.measure {
            for _ in 0..<1000 {
                #expect(throws: SkipReason.valueTooLong) { try InstanceRecord(decoding: huge) }
                #expect(throws: SkipReason.valueTooLong) { try InstanceRecord(decoding: deep) }
            }
        }
        #expect(spent < .seconds(2))
    }

    @Test func lengthEndsAt4KiB() throws {
        let head = #"{"host":"10.0.0.1","port":1,"x":""#
        let text = head + String(repeating: "x", count: 4096 - head.utf8.count - 2) + #""}"#
        #expect(try decode(text).port == 1)
        #expect(throws: SkipReason.valueTooLong) { try decode(text + " ") }
    }

    /// Whatever stands in etcd, the answer is a record or a reason: each prefix of a good value, and each byte changed.
    @Test func damagedValuesNeverTrap() throws {
        let good = Array(#"{"v":1,"host":"10.0.0.1","port":80,"tags":["a\u00e9\n"],"meta":{"k":[1.5e3,null]}}"#.utf8)
        var read = 0
        for index in good.indices {
            for byte in [UInt8(0), 0x22, 0x5c, 0x7b, 0x7d, 0xff, 0x30] {
                var value = good
                value[index] = byte
                if (try? InstanceRecord(decoding: value)) != nil { read += 1 }
            }
            #expect(throws: SkipReason.self) { try InstanceRecord(decoding: Array(good[..<index])) }
        }
        #expect(read > 0 && read < good.count * 7)
    }

    @Test func everyReasonHasItsOwnWords() {
        #expect(Set(SkipReason.allCases.map(\.rawValue)).count == SkipReason.allCases.count)
        #expect(Set(SkipReason.allCases.map(\.description)).count == SkipReason.allCases.count)
    }
}

@Suite struct RecordFieldsTests {
    private func record(_ arguments: [String]) throws -> InstanceRecord {
        var record = InstanceRecord(endpoint: try #require(Endpoint("10.0.0.1:1")))
        try RecordFields(arguments: arguments).apply(to: &record)
        return record
    }

    @Test func fieldsAreSetAndTheRestIsMeta() throws {
        let record = try record([
            "weight=0", "priority=3", "tags=a,b", "container=c=d", "proto=udp", "version=7.0", "shard=12", "empty=",
        ])
        #expect(record.weight == 0 && record.priority == 3 && record.tags == ["a", "b"])
        #expect(record.container == "c=d" && record.proto == "udp")
        #expect(record.meta == ["version": .string("7.0"), "shard": .number("12"), "empty": .string("")])
    }

    /// What JSON or a reader's double would not carry stays text.
    @Test(arguments: ["007", "-1", "1.5", "1e3", "1234567890123456", "١"])
    func onlyPlainDigitsAreNumbers(_ value: String) throws {
        #expect(try record(["x=\(value)"]).meta["x"] == .string(value))
    }

    @Test(arguments: [
        "weight", "=1", "", "weight=1001", "weight=-1", "weight=x", "priority=-1", "proto=sctp", "tags=", "tags=a,,b",
        "host=1.2.3.4", "port=1", "v=1", "node=x", "state=up", "since=x", "meta=x",
    ])
    func refusesAndSaysWhy(_ argument: String) {
        let problem = #expect(throws: RecordFields.Problem.self) { try RecordFields(arguments: [argument]) }
        #expect(problem?.argument == argument)
        #expect(problem?.allowedForm.isEmpty == false)
    }

    @Test func refusesAKeyTwice() {
        #expect(throws: RecordFields.Problem.self) { try RecordFields(arguments: ["a=1", "a=2"]) }
    }
}
