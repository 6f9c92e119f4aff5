// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// A proxy that starts while etcd is away: by what it, or the one before it, knew last (F21, L3).
@Suite(.tags(.integration), .untilHung)
struct ColdStartTests {
    static let tookUp = "registry is silent; began with what was known last"
    private static let refused = "what was known last is not used"
    private static let cannotSave = "what is known cannot be saved"
    /// docs/promises.md, "Starting".
    static let promise = Duration.seconds(1)

    /// Its files, and nothing else that is written there.
    private func files(in directory: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory).filter { $0.hasSuffix(".json") }
            .map { "\(directory)/\($0)" }
    }

    /// A proxy of `web` that has saved instance A, killed, and etcd stopped.
    /// - Returns: the file.
    private func leftBehind(_ stage: Stage, _ etcd: EtcdProcess, _ backend: Backend) async throws -> String {
        try await etcd.putInstance("/services/web/a", backend.endpoint)
        let proxy = try await stage.proxy("web", etcd: etcd)
        let directory = try stage.directory()
        let file = try await waitForValue("a file that knows the instance") {
            try files(in: directory).first {
                try String(contentsOfFile: $0, encoding: .utf8).contains("/services/web/a")
            }
        }
        try await proxy.process.killAndWait()
        try await etcd.stop()
        return file
    }

    @Test(.row("F21")) func aRestartWhileEtcdIsAwayServesWhatWasKnown() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backends = try await ["A", "B"].asyncMap { try await stage.backend(Backend.naming($0)) }
            let file = try await leftBehind(stage, etcd, backends[0])
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)

            let begun = ContinuousClock.now
            let proxy = try await stage.proxy("web", etcd: etcd)
            try await eventually("served from what was known", within: Self.promise, since: begun) {
                try await servedBy(proxy.endpoint) == "A"
            }
            let line = try await proxy.process.firstLine(containing: Self.tookUp)
            let fields = LogFields(line.text)
            #expect(fields["instances"] == "1" && fields["saved"] != nil && fields["age"] != nil, "\(line.text)")

            try await etcd.start()
            try await etcd.putInstance("/services/web/b", backends[1].endpoint)
            try await eventually("etcd is followed again", within: .seconds(6)) {
                try await serves(proxy.endpoint, exactly: ["A", "B"], window: 4)
            }
        }
    }

    /// One bit, half of it, another's links, another user's: none is used, each is said, and the proxy waits for etcd as if there were none.
    @Test(arguments: ["bit", "half", "foreign", "owner"])
    func aFileThatIsOfNoUseIsRefusedWithAReason(fault: String) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backend = try await stage.backend(Backend.naming("A"))
            let file = try await leftBehind(stage, etcd, backend)
            var bytes = [UInt8](try Data(contentsOf: URL(filePath: file)))
            switch fault {
            case "bit": bytes[bytes.count / 2] ^= 1
            case "half": bytes.removeLast(bytes.count / 2)
            case "foreign": bytes = [UInt8](try foreign(bytes))
            default: try FileManager.default.setAttributes([.ownerAccountID: 65_532], ofItemAtPath: file)
            }
            if fault != "owner" { try Data(bytes).write(to: URL(filePath: file)) }
            let process = try await stage.legation(stage.proxyArguments("web", etcd: etcd))
            let line = try await process.firstLine(containing: Self.refused)
            #expect(LogFields(line.text)["reason"]?.contains(file) == true, "\(line.text)")
            #expect(process.lines(containing: "listening").isEmpty)
            let eager = try await stage.legation(stage.proxyArguments("web", etcd: etcd, ["--start-empty"]))
            let open = try await eager.listeningEndpoint()
            try await eager.firstLine(containing: Self.refused)
            #expect(try await isReset(open))
            try await etcd.start()
            let endpoint = try await process.listeningEndpoint()
            for endpoint in [endpoint, open] {
                try await eventually("served once etcd is there", within: .seconds(6)) {
                    try await servedBy(endpoint) == "A"
                }
            }
            // And what is known now replaces it.
            try await waitFor("a file that is of use") { try Data(contentsOf: URL(filePath: file)) != Data(bytes) }
        }
    }

    /// Whole, but about other links: as if somebody had copied it here.
    private func foreign(_ bytes: [UInt8]) throws -> String.UTF8View {
        let text = String(decoding: bytes, as: UTF8.self).replacing(
            #""services":["web"]"#, with: #""services":["old"]"#)
        let start = try #require(text.range(of: #""content":"#)).upperBound
        let content = text[start...].dropLast()
        let sum = content.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
        let digits = String(sum, radix: 16)
        let checksum = String(repeating: "0", count: 16 - digits.count) + digits
        return #"{"v":1,"checksum":"\#(checksum)","content":\#(content)}"#.utf8
    }

    @Test func aPlaceThatCannotBeWrittenToIsToldOfOnce() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backend = try await stage.backend(Backend.naming("A"))
            let process = try await stage.legation(
                stage.proxyArguments("web", etcd: etcd), environment: ["STATE_DIRECTORY": "/proc/self/nowhere"])
            let endpoint = try await process.listeningEndpoint()
            try await process.firstLine(containing: Self.cannotSave)
            try await etcd.putInstance("/services/web/a", backend.endpoint)
            try await waitFor("served all the same") { try await servedBy(endpoint) == "A" }
            try await etcd.putInstance("/services/web/b", backend.endpoint)
            try await waitFor("another change seen") { process.lines(containing: "endpoint set changed").count >= 2 }
            #expect(process.lines(containing: Self.cannotSave).count == 1)
        }
    }
}
