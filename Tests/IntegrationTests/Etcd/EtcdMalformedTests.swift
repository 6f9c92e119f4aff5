// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Keys and values that no reader should have to see, on a real etcd. What each field may say is `ValidationTests`'.
@Suite(.tags(.integration), .untilHung)
struct EtcdMalformedTests {
    /// By key: a value, and the reason for which it is skipped.
    private static let corpus: [(key: String, value: [UInt8], reason: String)] = [
        ("empty", [], "json"), ("brace", Array("{".utf8), "json"), ("zero", [0], "json"),
        ("bom", [0xef, 0xbb, 0xbf] + Array(#"{"port":1,"host":"127.0.0.1"}"#.utf8), "json"),
        (
            "invalid-utf8", Array(#"{"port":1,"host":"127.0.0.1","x":""#.utf8) + [0xff, 0xfe] + Array(#""}"#.utf8),
            "json"
        ),
        ("nan", Array(#"{"port":NaN,"host":"127.0.0.1"}"#.utf8), "json"),
        ("infinite", Array(#"{"port":1e999,"host":"127.0.0.1"}"#.utf8), "port"),
        ("twice", Array(#"{"port":1,"port":2,"host":"127.0.0.1"}"#.utf8), "duplicate-field"),
        ("deep", [UInt8](repeating: UInt8(ascii: "["), count: 10_000), "value-too-long"),
        ("nested", Array(#"{"x":"#.utf8) + [UInt8](repeating: UInt8(ascii: "["), count: 2000), "depth"),
        ("mebibyte", [UInt8](repeating: UInt8(ascii: " "), count: 1 << 20), "value-too-long"),
        ("future", Array(#"{"v":99,"port":1,"host":"127.0.0.1"}"#.utf8), "version"),
    ]

    @Test(.row("F20"), arguments: EtcdProcess.Version.allCases)
    func onlyWhatIsMalformedIsSkippedAndTheReasonIsShown(version: EtcdProcess.Version) async throws {
        try await withEtcdCluster(version) { cluster in
            let etcd = cluster.members[0]
            let backend = try await cluster.backend("good")
            let mirror = try await cluster.mirror("/services/")
            for entry in Self.corpus { try await etcd.putBytes(Array("/services/web/\(entry.key)".utf8), entry.value) }
            // A key that is no text; no layout has one.
            try await etcd.putBytes(Array("/services/web/".utf8) + [0xff, 0xfe], Array("{}".utf8))
            try await etcd.putInstance("/services/web/good", backend.endpoint)
            let proxy = try await cluster.proxy("web")
            #expect(try await cluster.names(behind: proxy, rounds: 20) == ["good"])

            let answer = try await cluster.services(["web"])
            for entry in Self.corpus {
                #expect(answer.reason(ofKey: "/services/web/\(entry.key)") == entry.reason, "\(entry.key)")
                #expect(
                    !proxy.process.lines(containing: "/services/web/\(entry.key)", entry.reason).isEmpty,
                    "the proxy's log says of \(entry.key): \(entry.reason)")
            }
            #expect(answer.skipped == Self.corpus.count + 1)
            #expect(answer.instance(ofKey: "/services/web/good") != nil)
            #expect(proxy.process.exitStatus == nil)
            // The client itself leaves out nothing. Five times as long: the mirror is a debug build, for a mebibyte.
            try await mirror.converges("F20: whatever it is", with: cluster.members[2], within: .seconds(5))
        }
    }

    /// What an instance last said that could be read stays true while its key stands.
    @Test(.row("F20")) func anInstanceWhoseValueIsSpoiltKeepsItsLastGoodOne() async throws {
        try await withEtcdCluster { cluster in
            let etcd = cluster.members[0]
            let backends = try await ["A", "B"].asyncMap { try await cluster.backend($0) }
            try await etcd.putInstance("/services/web/a", backends[0].endpoint)
            try await etcd.putInstance("/services/web/b", backends[1].endpoint)
            let proxy = try await cluster.proxy("web")
            let mirror = try await cluster.mirror("/services/")
            try await waitFor("both") { try await cluster.names(behind: proxy) == ["A", "B"] }
            for entry in Self.corpus {
                try await etcd.putBytes(Array("/services/web/a".utf8), entry.value)
                try await proxy.process.firstLine(containing: "/services/web/a", "reason=\(entry.reason)")
                #expect(try await cluster.names(behind: proxy) == ["A", "B"], "\(entry.key)")
            }
            try await etcd.delete("/services/web/a")
            try await eventually("F20: gone with its key", within: .milliseconds(250)) {
                try await cluster.names(behind: proxy) == ["B"]
            }
            try await mirror.converges("F20: gone", with: cluster.members[2], within: .seconds(1))
        }
    }
}
