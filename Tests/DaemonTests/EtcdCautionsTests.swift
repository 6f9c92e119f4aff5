// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Daemon
import Etcd
import Logging
import TestSupport
import Testing

@Suite struct EtcdVersionTests {
    @Test(.row("S5"), arguments: ["3.5.33", "3.5.40", "3.6.14", "3.6.15-rc.1", "3.7.0"])
    func saysNothingOfGoodVersions(version: String) {
        #expect(EtcdVersion.warnings(for: version) == [])
    }

    @Test(
        .row("S5"),
        arguments: [
            ("3.5.32", "3.5.33"), ("3.5.1", "3.6.14"), ("3.6.13", "3.6.14"), ("3.4.44", "out of support"),
            ("3.3.1", "not one that"), ("4.0.0", "not one that"), ("three", "not understood"),
            ("3.5", "not understood"),
        ])
    func warnsOfOthers(version: String, word: String) {
        let warnings = EtcdVersion.warnings(for: version)
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains(word) == true)
    }
}

@Suite struct EtcdCautionsTests {
    private static let plain = "etcd without TLS"
    private static let roles = "etcd's roles cannot be relied on"

    /// What is logged of endpoints, and of members of these versions.
    private func warnings(
        _ urls: [String], versions: [String] = [], user: String? = nil, certificate: String? = nil
    ) async throws -> LogRecorder {
        let recorder = LogRecorder()
        var configuration = EtcdConfiguration(endpoints: try urls.map { try #require(EtcdEndpoint($0)) })
        if let user { configuration.credentials = EtcdCredentials(user: user, password: .literal("p")) }
        if let certificate { configuration.tls = EtcdTLS(certificateFile: certificate, privateKeyFile: certificate) }
        let (met, continuation) = AsyncStream.makeStream(of: String.self)
        for version in versions { continuation.yield(version) }
        continuation.finish()
        await EtcdCautions(configuration, logger: recorder.logger).run(met)
        #expect(recorder.lines.allSatisfy { $0.level == .warning })
        return recorder
    }

    @Test(.row("S1")) func warnsOnceOfEndpointsWithoutTLSAwayFromThisHost() async throws {
        let urls = ["http://10.0.0.1:2379", "https://10.0.0.2:2379", "http://127.0.0.1:2379", "http://etcd:2379"]
        let log = try await warnings(urls)
        #expect(log.lines(Self.plain).map { $0.text("endpoints") } == ["http://10.0.0.1:2379,http://etcd:2379"])
        #expect(log.lines(Self.plain).first?.text("why")?.contains("read and change") == true)
    }

    @Test(.row("S1"), arguments: ["https://10.0.0.1:2379", "http://127.0.0.1:2379", "http://[::1]:2379"])
    func saysNothingOfOtherEndpoints(url: String) async throws {
        #expect(try await warnings([url], versions: ["3.4.23"]).lines.isEmpty)
    }

    @Test(.row("S5"), arguments: [("alice", nil), (nil, "/client.pem")] as [(String?, String?)])
    func warnsOfEachVersionOnceWhereRolesMayBeReliedOn(user: String?, certificate: String?) async throws {
        let log = try await warnings(
            ["https://10.0.0.1:2379"], versions: ["3.4.23", "3.4.23", "3.5.33", "3.5.1", "3.4.23"], user: user,
            certificate: certificate)
        let told = log.lines(Self.roles).compactMap { $0.text("why") }
        #expect(told == EtcdVersion.warnings(for: "3.4.23") + EtcdVersion.warnings(for: "3.5.1"))
    }
}
