// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Certificates that are replaced while everything runs: an authority, the servers' and our own.
@Suite(.tags(.integration), .untilHung)
struct EtcdRotationTests {
    private static let changed = "TLS files have changed"
    private static let broken = "TLS files cannot be used"

    /// A cluster that trusts an old authority and a new one, and clients that trust the old.
    private static func withOldAuthority(
        load: Load = .cluster, test: String = #function, _ body: (EtcdCluster, Certificates) async throws -> Void
    ) async throws {
        try await withEtcdCluster(tls: true, start: false, load: load, test: test) { cluster in
            let certificates = try #require(cluster.certificates)
            try certificates.install(["ca.pem"], as: "old.pem")
            try certificates.install(["ca.key"], as: "old.key")
            try certificates.install(["ca.pem"], as: "trust.pem")
            try await certificates.makeAuthority("new", on: cluster.stage)
            try certificates.install(["old.pem", "new.pem"], as: "ca.pem")
            try await cluster.start()
            try await body(cluster, certificates)
        }
    }

    /// A mirror that trusts the old authority and looks at its files every second.
    private static func mirror(
        on cluster: EtcdCluster, _ certificates: Certificates, awaitListing: Bool = true
    ) async throws -> MirrorProcess {
        try await cluster.mirror(
            "/services/",
            [
                "--cacert", certificates.path("trust.pem"), "--cert", certificates.clientCertificate, "--key",
                certificates.clientKey, "--tls-reload", "1",
            ], awaitListing: awaitListing)
    }

    /// The members' are read at each handshake, their authorities at their start.
    private static func rotateServer(_ certificates: Certificates, on stage: Stage) async throws {
        try await certificates.issue(.init("fresh-server"), by: "new", on: stage)
        try certificates.install(["fresh-server.key"], as: "server.key")
        try certificates.install(["fresh-server.pem"], as: "server.pem")
    }

    @Test(.row("F15")) func newFilesMakeANewConnectionWithoutARestart() async throws {
        try await Self.withOldAuthority { cluster, certificates in
            let mirror = try await Self.mirror(on: cluster, certificates)
            try await cluster.members[0].put("/services/a/before", "1")
            try await mirror.converges("F15: before", with: cluster.members[1], within: .seconds(1))
            #expect(try mirror.state().reconnects == 0)

            // Half of a rotation: a certificate beside the old key, for as long as an operator takes.
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: cluster.stage)
            try certificates.install(["fresh.pem"], as: "client.pem")
            try await mirror.process.firstLine(containing: Self.broken)
            try await Task.sleep(for: .seconds(3))
            #expect(mirror.process.lines(containing: Self.broken).count == 1, "said once")
            #expect(try mirror.state().reconnects == 0)

            try await Self.rotateServer(certificates, on: cluster.stage)
            try certificates.install(["new.pem"], as: "trust.pem")
            try certificates.install(["fresh.key"], as: "client.key")
            try await eventually("F15: new files used, looked at each second", within: .seconds(2)) {
                try mirror.state().reconnects >= 1 && !mirror.state().isStale
            }
            try await mirror.process.firstLine(containing: Self.changed)

            // From now on the old authority is nobody, to the members and to us.
            try certificates.install(["new.pem"], as: "ca.pem")
            try await cluster.restartInTurn()
            try await cluster.members[0].put("/services/a/after", "1")
            try await mirror.converges("F15: the old authority gone", with: cluster.members[1], within: .seconds(6))
            #expect(mirror.resets.count == 1 && mirror.process.exitStatus == nil)
        }
    }

    /// By the clock of every daemon: looked at every 30 s, promised within 60 s.
    @Test(.row("F15")) func daemonsTakeNewFilesWithinAMinute() async throws {
        try await Self.withOldAuthority(load: .waiting) { cluster, certificates in
            let place = [
                "--etcd", cluster.endpoints, "--etcd-ca", certificates.path("trust.pem"), "--etcd-cert",
                certificates.clientCertificate, "--etcd-key", certificates.clientKey,
            ]
            let register = try await cluster.register("web", cluster.backend("A").endpoint, place: place)
            let proxy = try await cluster.proxy("web", place: place)
            let mirror = try await Self.mirror(on: cluster, certificates)
            try await waitFor("served") { try await cluster.names(behind: proxy) == ["A"] }

            try await Self.rotateServer(certificates, on: cluster.stage)
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: cluster.stage)
            let swapped = ContinuousClock.now
            try certificates.install(["new.pem"], as: "trust.pem")
            try certificates.install(["fresh.pem"], as: "client.pem")
            try certificates.install(["fresh.key"], as: "client.key")
            for process in [register.process, proxy.process] {
                try await eventually("F15: new files used", within: .seconds(60), since: swapped) {
                    !process.lines(containing: Self.changed).isEmpty
                }
            }
            try certificates.install(["new.pem"], as: "ca.pem")
            try await cluster.restartInTurn()
            let member = cluster.members[0]
            try await member.putInstance("/services/web/b", cluster.backend("B").endpoint)
            try await eventually("F15: the proxy follows", within: .seconds(6)) {
                try await cluster.names(behind: proxy) == ["A", "B"]
            }
            // Longer than the lease, which was kept on the new connection.
            let lease = try await member.ctl("lease", "list")
            try await Task.sleep(for: .seconds(7))
            #expect(try await member.ctl("lease", "list") == lease)
            #expect(register.process.exitStatus == nil && proxy.process.exitStatus == nil)
            try await mirror.converges("F15: daemons, in the end", with: cluster.members[2], within: .seconds(1))
        }
    }

    /// What a certificate that ends on a running connection does: nothing, until a new connection is needed.
    @Test(.row("F15")) func aCertificateThatEndedIsNamedAndReplacedWithoutARestart() async throws {
        try await Self.withOldAuthority { cluster, certificates in
            try await certificates.issue(.init("client", usage: "clientAuth", days: -1), by: "old", on: cluster.stage)
            let mirror = try await Self.mirror(on: cluster, certificates, awaitListing: false)
            try await mirror.process.firstLine(containing: "refuses our certificate")
            try await certificates.issue(.init("fresh", usage: "clientAuth"), by: "new", on: cluster.stage)
            try certificates.install(["fresh.key"], as: "client.key")
            let swapped = ContinuousClock.now
            try certificates.install(["fresh.pem"], as: "client.pem")
            // A second until the files are looked at, and 5 s of backoff.
            try await eventually("F15: connected with the new certificate", within: .seconds(6), since: swapped) {
                mirror.resets.count == 1
            }
            try await cluster.members[0].put("/services/a/after", "1")
            try await mirror.converges("F15: a new certificate", with: cluster.members[1], within: .seconds(1))
        }
    }
}
