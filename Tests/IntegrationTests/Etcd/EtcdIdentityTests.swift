// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Who speaks with whom: certificates of both sides, and an etcd that has none.
@Suite(.tags(.integration), .timeLimit(.minutes(5)))
struct EtcdIdentityTests {
    /// What is wrong, and what an operator is told of it.
    private struct Wrong: Sendable, CustomTestStringConvertible {
        let name: String
        var server = Certificates.Leaf("server")
        var client: Certificates.Leaf? = Certificates.Leaf("client", usage: "clientAuth")
        var authority = "ca"
        var clientAuthority = "ca"
        let says: [String]

        var testDescription: String { name }
    }

    private static let wrong = [
        Wrong(name: "wrong CA", authority: "another", says: ["authority that is not trusted here"]),
        Wrong(
            name: "wrong SAN", server: .init("server", names: "DNS:elsewhere,IP:127.0.0.9"),
            says: ["for another name or address"]),
        Wrong(name: "expired server", server: .init("server", days: -1), says: ["server's certificate has expired"]),
        Wrong(name: "no client certificate", client: nil, says: ["wants a certificate of ours"]),
        Wrong(
            name: "no clientAuth", client: .init("client", usage: "serverAuth"),
            says: ["refuses our certificate", "not for clients"]),
        Wrong(name: "expired client", client: .init("client", days: -1), says: ["refuses our certificate", "expired"]),
        Wrong(name: "stranger", clientAuthority: "another", says: ["refuses our certificate", "does not trust"]),
    ]

    @Test(.row("S2"), arguments: wrong)
    private func checkEtcdSaysWhatIsWrong(wrong: Wrong) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(tls: true, start: false)
            let certificates = try #require(etcd.certificates)
            try await certificates.makeAuthority("another", on: stage)
            try await certificates.issue(wrong.server, on: stage)
            if let client = wrong.client { try await certificates.issue(client, by: wrong.clientAuthority, on: stage) }
            try await etcd.start(awaitHealth: false)
            var arguments = ["--etcd", etcd.url, "--etcd-ca", certificates.path("\(wrong.authority).pem")]
            if wrong.client != nil {
                arguments += [
                    "--etcd-cert", certificates.path("client.pem"), "--etcd-key", certificates.path("client.key"),
                ]
            }
            let check = try await stage.runLegation(["check-etcd"] + arguments, within: .seconds(60))
            #expect(check.status == .code(1))
            for words in wrong.says { #expect(check.output.contains(words), "\(check)") }
            // A daemon says it too, once, and goes on trying.
            let daemon = try await stage.legation(
                ["proxy", "--bind", "127.0.0.1", "--start-empty"] + arguments + ["web:0"])
            let stale = try await daemon.firstLine(containing: EtcdScene.stale)
            for words in wrong.says { #expect(stale.text.contains(words), "\(stale.text)") }
            #expect(daemon.exitStatus == nil)
        }
    }

    @Test(.row("S2")) func aCertificateThatIsAsItShouldBeIsTaken() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(tls: true, start: false)
            let certificates = try #require(etcd.certificates)
            try await certificates.issue(.init("server"), on: stage)
            try await certificates.issue(.init("client", usage: "clientAuth"), on: stage)
            try await etcd.start()
            let check = try await stage.runLegation(["check-etcd", "--require-tls"] + etcd.arguments)
            #expect(check.succeeded, "\(check)")
        }
    }

    @Test(.row("S2")) func aServerThatSpeaksNoTLSIsCalledThat() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let check = try await stage.runLegation(["check-etcd", "--etcd", "https://\(etcd.endpoint)"])
            #expect(check.status == .code(1) && check.output.contains("speak TLS"), "\(check)")
        }
    }

    /// A user is who the certificate's CommonName says; nothing else is configured.
    @Test(.row("S2")) func theCommonNameIsTheUser() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(tls: true)
            let certificates = try #require(etcd.certificates)
            let root = try await etcd.enableUsers()
            _ = try await root.makeUser("client", [(.readwrite, "/services/"), (.readwrite, "/services-nodes/")])
            try await certificates.issue(.init("stranger", usage: "clientAuth"), on: stage)
            let endpoint = Endpoint(.loopbackV4, port: 6379)
            let process = try await stage.legation(stage.registerArguments("web", endpoint, etcd: etcd))
            try await process.firstLine(containing: "registered")
            #expect(try await root.table("/services/web/").count == 1)
            let stranger = [
                "services", "--etcd", etcd.url, "--etcd-ca", certificates.authority, "--etcd-cert",
                certificates.path("stranger.pem"), "--etcd-key", certificates.path("stranger.key"),
            ]
            let refused = try await stage.runLegation(stranger)
            #expect(refused.status == .code(1), "\(refused)")
        }
    }

    @Test(.row("S1")) func anEtcdWithoutTLSBeyondThisHostIsWarnedOfOnce() async throws {
        try await withStage { stage in
            let network = try await stage.network()
            let address = try await stage.run(
                Command("ip", ["addr", "add", "10.9.9.9/32", "dev", "lo"], networkOf: network))
            try #require(address.succeeded, "\(address)")
            let etcd = try await stage.etcd(network: network)
            // To the kernel the same host; to us an address that anybody may have.
            let forward = try await stage.legation(
                ["forward", "--listen", "10.9.9.9:2379", "\(etcd.endpoint)"], networkOf: network)
            try await forward.firstLine(containing: "listening")
            let place = ["--etcd", "http://10.9.9.9:2379"]
            let register = try await stage.legation(
                ["register", "--address", "10.9.9.9:80", "--node", "hostA"] + place + ["web"], networkOf: network)
            try await register.firstLine(containing: "registered")
            let proxy = try await stage.legation(["proxy"] + place + ["web:7000"], networkOf: network)
            try await proxy.firstLine(containing: "listening")
            for process in [register, proxy] {
                let line = try await process.firstLine(containing: "etcd without TLS")
                #expect(line.text.contains("warning") && line.text.contains("http://10.9.9.9:2379"), "\(line.text)")
                #expect(process.lines(containing: "etcd without TLS").count == 1)
            }
            let check = try await stage.runLegation(["check-etcd"] + place, networkOf: network)
            #expect(check.succeeded && check.output.contains("warning: http://10.9.9.9:2379: without TLS"), "\(check)")
            let refused = try await stage.runLegation(["check-etcd", "--require-tls"] + place, networkOf: network)
            #expect(refused.status == .code(64) && refused.errors.contains("--require-tls"), "\(refused)")
        }
    }
}
