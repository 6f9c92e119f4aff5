// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import TestSupport
import Testing

/// Values and keys made to break a reader, by chance from a seed that a failure names: never a crash, and never an address
/// that is always refused.
@Suite struct EntryFuzzTests {
    private static let forbidden = [
        "0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "::1/128", "::/128", "fe80::/10", "fd00:ec2::254/128",
    ].compactMap { CIDR($0) }

    @Test(arguments: [UInt64(1), 2])
    func nothingBreaksAReaderOrPassesForWhatIsForbidden(seed: UInt64) throws {
        var entries = HostileEntries(seed: seed)
        let policy = TargetPolicy()
        try #require(Self.forbidden.count == 7)
        let service = try #require(ServiceName("web"))
        var read = 0
        for round in 0..<400 {
            let value = entries.value()
            let key = "/services/web/" + String(decoding: entries.value().prefix(80), as: UTF8.self)
            _ = KeyLayout.standard.parse(key)
            _ = try? OverrideRecord(decoding: value)
            for format in EntryFormat.allCases + [EntryFormat(detecting: value)] {
                guard let record = try? format.decode(value, key: key) else { continue }
                read += 1
                #expect(InstanceRecord.weights.contains(record.weight), "seed \(seed), round \(round)")
                guard policy.check(record.endpoint, service: service) == nil else { continue }
                let isForbidden = Self.forbidden.contains { $0.contains(record.endpoint.address) }
                #expect(!isForbidden, "seed \(seed), round \(round): \(record.endpoint)")
            }
        }
        // Enough of it can still be read for the rest to mean something.
        #expect(read > 50, "\(read)")
    }
}
