// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `--resolve-names` with the system's resolver, which reads a file of the test's own.
@Suite(.tags(.integration), .untilHung)
struct NameTests {
    /// A proxy to which `hosts` is /etc/hosts.
    private func proxy(_ stage: Stage, etcd: EtcdProcess, hosts: String, _ more: [String]) async throws -> Proxy {
        let legation = try LegationBinary.command(
            ["proxy", "--bind", "127.0.0.1"] + etcd.arguments + more + ["web:0"])
        let script = #"mount --bind "$1" /etc/hosts && shift && exec "$@""#
        var command = Command(
            "unshare", ["--mount", "sh", "-ec", script, "sh", hosts, legation.executable] + legation.arguments)
        command.environment = legation.environment
        let process = try await stage.start(command)
        return Proxy(process: process, endpoint: try await process.listeningEndpoint())
    }

    /// In place: another file would not be the one that is mounted.
    private func write(_ lines: [String: String], to hosts: String) throws {
        let text = lines.map { "\($0.value) \($0.key)\n" }.sorted().joined()
        try text.write(toFile: hosts, atomically: false, encoding: .utf8)
    }

    @Test func aNameIsFollowedAndOpensNothingThatAnAddressWouldNot() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let (first, second) = (IPAddress(v4: 0x7f00_0001), IPAddress(v4: 0x7f00_0002))
            let a = try await stage.backend(on: first, Backend.naming("A"))
            let port = a.endpoint.port
            let b = try await stage.backend(on: second, port: port, Backend.naming("B"))
            // Nobody is to be led here: it is outside of what may be dialled.
            let forbidden = try await stage.backend(on: IPAddress(v4: 0x7f00_0009), port: port, Backend.naming("C"))
            let hosts = try stage.directory() + "/hosts"
            try write(["web.test": "127.0.0.1", "evil.test": "127.0.0.9"], to: hosts)
            for name in ["web", "evil"] {
                try await etcd.put("/services/web/\(name)", #"{"host":"\#(name).test","port":\#(port)}"#)
            }
            let allowed = ["--allow-target", "127.0.0.0/30"]
            let off = try await proxy(stage, etcd: etcd, hosts: hosts, allowed)
            let proxy = try await proxy(stage, etcd: etcd, hosts: hosts, allowed + ["--resolve-names", "web=on"])
            #expect(try await isReset(off.endpoint), "names are refused unless asked for")
            try await waitFor("the name's address") { try await serves(proxy.endpoint, exactly: ["A"], window: 3) }

            // Its instance moves: who is refused there asks again, at most once a second.
            try write(["web.test": "127.0.0.2", "evil.test": "127.0.0.9"], to: hosts)
            a.refuse()
            try await eventually("the new address after a refusal", within: .seconds(2)) {
                try await serves(proxy.endpoint, exactly: ["B"], window: 3)
            }
            // It is not known any more: what was known stands.
            try write(["evil.test": "127.0.0.9"], to: hosts)
            for _ in 0..<20 { #expect(try await servedBy(proxy.endpoint) == "B") }
            #expect(forbidden.dials.isEmpty && b.dials.count >= 23)
        }
    }
}
