// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@Suite struct PresenceRecordTests {
    private func decode(_ text: String) throws(SkipReason) -> PresenceRecord {
        try PresenceRecord(decoding: Array(text.utf8), node: "hostA")
    }

    @Test func comesBackAsWritten() throws {
        let record = PresenceRecord(
            node: "hostA", address: IPAddress("fd00::1"), zone: "z1", version: "0.1.0", boot: "b0",
            since: "2026-11-22T11:00:00Z")
        #expect(
            String(decoding: record.encoded(), as: UTF8.self)
                == #"{"v":1,"node":"hostA","address":"fd00::1","zone":"z1","version":"0.1.0","boot":"b0","#
                + #""since":"2026-11-22T11:00:00Z"}"#)
        #expect(try PresenceRecord(decoding: record.encoded(), node: "hostA") == record)
    }

    /// The key says whose it is; what somebody writes by hand may say little.
    @Test func needsOnlyABoot() throws {
        let record = try decode(#"{"boot":"b1","node":"liar","address":"not one"}"#)
        #expect(record.node == "hostA" && record.boot == "b1" && record.address == nil && record.zone == nil)
        #expect(record.version.isEmpty && record.since.isEmpty)
    }

    @Test(arguments: [
        ("", SkipReason.json), ("[]", .json), ("{}", .field), (#"{"boot":1}"#, .field),
        (#"{"v":2,"boot":"b"}"#, .version),
        (#"{"boot":"a","boot":"b"}"#, .duplicateField),
    ])
    func refuses(_ text: String, _ reason: SkipReason) {
        #expect(throws: reason) { try PresenceRecord(decoding: Array(text.utf8), node: "hostA") }
    }

    @Test func refusesTooLongAValue() {
        let text = #"{"boot":""# + String(repeating: "b", count: 4096) + #""}"#
        #expect(throws: SkipReason.valueTooLong) { try PresenceRecord(decoding: Array(text.utf8), node: "hostA") }
    }
}
