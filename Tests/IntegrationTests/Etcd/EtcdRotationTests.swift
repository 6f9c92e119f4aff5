// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Certificates that are replaced while everything runs: an authority, the servers' and our own.
@Suite(.tags(.integration), .timeLimit(.minutes(5)))
struct EtcdRotationTests {
    private static let changed = "TLS files have changed"
    private static let broken = "TLS files cannot be used"

    /// An etcd that trusts an old authority and a new one, and clients that trust the old.
    private static func etcd(on stage: Stage) async throws -> (EtcdProcess, Certificates) {
        let etcd = try await stage.etcd(tls: true, start: false)
        let certificates = try #require(etcd.certificates)
        try certificates.install(["ca.pem"], as: "old.pem")
        try certificates.install(["ca.key"], as: "old.key")
        try certificates.install(["ca.pem"], as: "trust.pem")
        try await certificates.makeAuthority("new", on: stage)
        try certificates.install(["old.pem", "new.pem"], as: "ca.pem")
        try await etcd.start()
        return (etcd, certificates)
    }

    private static func files(_ certificates: Certificates) -> [String] {
        [certificates.path("trust.pem"), certificates.clientCertificate, certificates.clientKey]
    }

    /// The server's are read at each handshake, its authorities at its start.
    private static func rotateServer(_ certificates: Certificates, on stage: Stage) async throws {
        try await certificates.issue(.init("fresh-server"), by: "new", on: stage)
        try certificates.install(["fresh-server.key"], as: "server.key")
        try certificates.install(["fresh-server.pem"], as: "server.pem")
    }

    @Test(.row("F15")) func newFilesMakeANewConnectionWithoutARestart() async throws {
        try await withStage(.waiting) { stage in
            let (etcd, certificates) = try await Self.etcd(on: stage)
            let files = Self.files(certificates)
            let mirror = try await stage.mirror(
                "/services/", etcd: etcd,
                ["--cacert", files[0], "--cert", files[1], "--key", files[2], "--tls-reload", "1"])
            try await etcd.put("/services/a/before", "1")
            try await mirror.converges("F15: before", with: etcd, within: .seconds(1))
            #expect(try mirror.state().reconnects == 0)

            // Half of a rotation: a certificate beside the old key, for as long as an operator takes.
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: stage)
            try certificates.install(["fresh.pem"], as: "client.pem")
            try await mirror.process.firstLine(containing: Self.broken)
            try await Task.sleep(for: .seconds(3))
            #expect(mirror.process.lines(containing: Self.broken).count == 1, "said once")
            #expect(try mirror.state().reconnects == 0)

            try await Self.rotateServer(certificates, on: stage)
            try certificates.install(["new.pem"], as: "trust.pem")
            try certificates.install(["fresh.key"], as: "client.key")
            try await eventually("F15: new files used, looked at each second", within: .seconds(2)) {
                try mirror.state().reconnects >= 1 && !mirror.state().isStale
            }
            #expect(!mirror.process.lines(containing: Self.changed).isEmpty)

            // From now on the old authority is nobody, to the server and to us.
            try certificates.install(["new.pem"], as: "ca.pem")
            try await etcd.restart()
            try await etcd.put("/services/a/after", "1")
            try await mirror.converges("F15: the old authority gone", with: etcd, within: .seconds(6))
            #expect(mirror.resets.count == 1 && mirror.process.exitStatus == nil)
        }
    }

    /// By the clock of every daemon: looked at every 30 s, promised within 60 s.
    @Test(.row("F15")) func daemonsTakeNewFilesWithinAMinute() async throws {
        try await withStage(.waiting) { stage in
            let (etcd, certificates) = try await Self.etcd(on: stage)
            let files = Self.files(certificates)
            let place = [
                "--etcd", etcd.url, "--etcd-ca", files[0], "--etcd-cert", files[1], "--etcd-key", files[2],
            ]
            let backend = try await stage.backend(Backend.naming("A"))
            let register = try await stage.legation(
                [
                    "register", "--address", "\(backend.endpoint)", "--allow-loopback", "--ttl", "5s", "--node",
                    "hostA",
                ] + place + ["web"])
            try await register.firstLine(containing: "registered")
            let proxy = try await stage.legation(
                ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + place + ["web:0"])
            let endpoint = try await proxy.listeningEndpoint()
            try await waitFor("served") { try await servedBy(endpoint) == "A" }

            try await Self.rotateServer(certificates, on: stage)
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: stage)
            let swapped = ContinuousClock.now
            try certificates.install(["new.pem"], as: "trust.pem")
            try certificates.install(["fresh.pem"], as: "client.pem")
            try certificates.install(["fresh.key"], as: "client.key")
            for process in [register, proxy] {
                try await eventually("F15: new files used", within: .seconds(60), since: swapped) {
                    !process.lines(containing: Self.changed).isEmpty
                }
            }
            try certificates.install(["new.pem"], as: "ca.pem")
            try await etcd.restart()
            let other = try await stage.backend(Backend.naming("B"))
            try await etcd.putInstance("/services/web/b", other.endpoint)
            try await eventually("F15: the proxy follows", within: .seconds(6)) {
                try await serves(endpoint, exactly: ["A", "B"], window: 4)
            }
            // Longer than the lease, which was kept on the new connection.
            let lease = try await etcd.ctl("lease", "list")
            try await Task.sleep(for: .seconds(7))
            #expect(try await etcd.ctl("lease", "list") == lease)
            #expect(register.exitStatus == nil && proxy.exitStatus == nil)
        }
    }

    /// What a certificate that ends on a running connection does: nothing, until a new connection is needed.
    @Test(.row("F15")) func aCertificateThatEndedIsNamedAndReplacedWithoutARestart() async throws {
        try await withStage { stage in
            let (etcd, certificates) = try await Self.etcd(on: stage)
            try await certificates.issue(.init("client", usage: "clientAuth", days: -1), by: "old", on: stage)
            let files = Self.files(certificates)
            let mirror = try await stage.process(
                of: "/services/", etcd: etcd,
                ["--cacert", files[0], "--cert", files[1], "--key", files[2], "--tls-reload", "1"])
            try await mirror.firstLine(containing: "refuses our certificate")
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: stage)
            try certificates.install(["fresh.key"], as: "client.key")
            let swapped = ContinuousClock.now
            try certificates.install(["fresh.pem"], as: "client.pem")
            // A second until the files are looked at, and 5 s of backoff.
            try await eventually("F15: connected with the new certificate", within: .seconds(6), since: swapped) {
                mirror.lines(containing: "reset ").count == 1
            }
        }
    }
}

extension Stage {
    /// A mirror that need not have a first listing.
    fileprivate func process(of prefix: String, etcd: EtcdProcess, _ more: [String]) async throws -> ProcessUnderTest {
        try await start(
            Command(
                "\(PackageRoot.path)/.build/debug/etcd-mirror", ["--endpoints", etcd.url, "--prefix", prefix] + more))
    }
}
