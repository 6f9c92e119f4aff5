// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Who speaks with whom: certificates of both sides, and an etcd that has none.
@Suite(.tags(.integration), .untilHung)
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
        try await withEtcdCluster(tls: true, start: false) { cluster in
            let certificates = try #require(cluster.certificates)
            try await certificates.makeAuthority("another", on: cluster.stage)
            try await certificates.issue(wrong.server, on: cluster.stage)
            if let client = wrong.client {
                try await certificates.issue(client, by: wrong.clientAuthority, on: cluster.stage)
            }
            for member in cluster.members { try await member.start(awaitHealth: false) }
            var arguments = ["--etcd", cluster.endpoints, "--etcd-ca", certificates.path("\(wrong.authority).pem")]
            if wrong.client != nil {
                arguments += [
                    "--etcd-cert", certificates.path("client.pem"), "--etcd-key", certificates.path("client.key"),
                ]
            }
            // A member accepts some time before it serves.
            let check: Outcome = try await waitForValue("each member to say it", within: .seconds(60)) {
                let check = try await cluster.runLegation(["check-etcd"] + arguments, within: .seconds(60))
                let lines = check.output.split(separator: "\n")
                let areRight = cluster.members.allSatisfy { member in
                    let said = lines.first { $0.hasPrefix("endpoint \(member.url) ") }
                    return wrong.says.allSatisfy { said?.contains($0) == true }
                }
                guard areRight else { throw Unexpected("\(check)") }
                return check
            }
            #expect(check.status == .code(1))
            // A daemon says it too, once, and goes on trying.
            let daemon = try await cluster.legation(
                ["proxy", "--bind", "127.0.0.1", "--start-empty"] + arguments + ["web:0"])
            let stale = try await daemon.firstLine(containing: Proxy.stale)
            for words in wrong.says { #expect(stale.text.contains(words), "\(stale.text)") }
            #expect(daemon.exitStatus == nil)
        }
    }

    @Test(.row("S2")) func aCertificateThatIsAsItShouldBeIsTaken() async throws {
        try await withEtcdCluster(tls: true, start: false) { cluster in
            let certificates = try #require(cluster.certificates)
            try await certificates.issue(.init("server"), on: cluster.stage)
            try await certificates.issue(.init("client", usage: "clientAuth"), on: cluster.stage)
            try await cluster.start()
            let check = try await cluster.runLegation(["check-etcd", "--require-tls"] + cluster.arguments)
            #expect(check.succeeded, "\(check)")
            let mirror = try await cluster.mirror("/services/", certificates.toolArguments)
            try await cluster.members[1].put("/services/web/a", "{}")
            try await mirror.converges("S2: by TLS", with: cluster.members[2], within: .seconds(1))
        }
    }

    @Test(.row("S2")) func aServerThatSpeaksNoTLSIsCalledThat() async throws {
        try await withEtcdCluster { cluster in
            let endpoints = cluster.members.map { "https://\($0.endpoint)" }
            let check = try await cluster.runLegation(
                ["check-etcd", "--etcd", endpoints.joined(separator: ",")], within: .seconds(60))
            #expect(check.status == .code(1))
            for endpoint in endpoints {
                let said = check.output.split(separator: "\n").first { $0.hasPrefix("endpoint \(endpoint) ") }
                #expect(said?.contains("speak TLS") == true, "\(check)")
            }
        }
    }

    /// A user is who the certificate's CommonName says; nothing else is configured.
    @Test(.row("S2")) func theCommonNameIsTheUser() async throws {
        try await withEtcdCluster(tls: true, more: EtcdUserScene.arguments) { cluster in
            let certificates = try #require(cluster.certificates)
            let root = try await cluster.enableUsers()
            _ = try await root.makeUser("client", [(.readwrite, "/services/"), (.readwrite, "/services-nodes/")])
            try await certificates.issue(.init("stranger", usage: "clientAuth"), on: cluster.stage)
            _ = try await cluster.register("web", Endpoint(.loopbackV4, port: 6379), seenBy: root)
            let mirror = try await cluster.mirror("/services/", certificates.toolArguments)
            try await mirror.converges("S2: as whom the certificate names", with: root, within: .seconds(1))
            let refused = try await cluster.runLegation([
                "services", "--etcd", cluster.endpoints, "--etcd-ca", certificates.authority, "--etcd-cert",
                certificates.path("stranger.pem"), "--etcd-key", certificates.path("stranger.key"),
            ])
            #expect(refused.status == .code(1), "\(refused)")
        }
    }

    /// To the kernel the same host; to us addresses that anybody may have.
    @Test(.row("S1")) func anEtcdWithoutTLSBeyondThisHostIsWarnedOfOnce() async throws {
        try await withEtcdCluster(first: IPAddress(v4: 0x0a09_0901)) { cluster in
            let address = cluster.members[0].endpoint.address
            let register = try await cluster.legation(
                ["register", "--address", "\(address):80", "--node", "hostA"] + cluster.arguments + ["web"])
            try await register.firstLine(containing: "registered")
            let proxy = try await cluster.legation(["proxy"] + cluster.arguments + ["web:7000"])
            try await proxy.firstLine(containing: "listening")
            for process in [register, proxy] {
                let line = try await process.firstLine(containing: "etcd without TLS")
                #expect(line.text.contains("warning") && line.text.contains(cluster.endpoints), "\(line.text)")
                #expect(process.lines(containing: "etcd without TLS").count == 1)
            }
            let check = try await cluster.runLegation(["check-etcd"] + cluster.arguments)
            #expect(check.succeeded, "\(check)")
            for member in cluster.members {
                #expect(check.output.contains("warning: \(member.url): without TLS"), "\(check)")
            }
            let refused = try await cluster.runLegation(["check-etcd", "--require-tls"] + cluster.arguments)
            #expect(refused.status == .code(64) && refused.errors.contains("--require-tls"), "\(refused)")
            let mirror = try await cluster.mirror("/services/")
            try await mirror.converges("S1", with: cluster.members[2], within: .seconds(1))
        }
    }
}
