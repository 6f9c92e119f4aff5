// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// Hosts that etcd's roles confine to their own entries: `--layout node-first`, with the roles of docs/layouts.md.
@Suite(.tags(.integration), .untilHung)
struct EtcdNodeRoleTests {
    private static let layout = ["--layout", "node-first"]

    private static func key(_ node: String, _ backend: Backend) -> String {
        "/services-by-node/\(node)/web/\(node):\(backend.endpoint.address):\(backend.endpoint.port)"
    }

    @Test(.row("S3"), arguments: EtcdProcess.Version.allCases)
    func aHostCannotWriteAnothersEntries(version: EtcdProcess.Version) async throws {
        try await withEtcdUsers(version) { scene in
            let backends = try await ["A", "B"].asyncMap { try await scene.cluster.backend($0) }
            let hosts = try await ["hostA", "hostB"].asyncMap { node in
                try await scene.root.makeUser(
                    node, [(.readwrite, "/services-by-node/\(node)/"), (.readwrite, "/services-nodes/\(node)/")])
            }
            let reader = try await scene.root.makeUser(
                "reader",
                [(.read, "/services-by-node/"), (.read, "/services-overrides/"), (.readwrite, "/services-holds/web/")])
            let keys = [Self.key("hostA", backends[0]), Self.key("hostB", backends[1])]
            var registrators: [ProcessUnderTest] = []
            for (backend, host) in zip(backends, hosts) {
                registrators.append(
                    try await scene.cluster.startRegister(
                        "web", backend.endpoint, node: host.name, host.flags + Self.layout))
            }
            let proxy = try await scene.proxy("web", as: reader, Self.layout)
            try await waitFor("both served") { try await scene.cluster.names(behind: proxy) == ["A", "B"] }
            let before = try await scene.root.table("/services")
            #expect(before.map(\.key).filter { $0.hasPrefix("/services-by-node/") } == keys)

            // What host A does to host B's entries, and what the proxy's user does to any.
            for attempt in try await Self.attempts(on: keys[1], of: "hostB", scene) {
                let outcome = try await hosts[0].control(attempt)
                #expect(!outcome.succeeded && outcome.errors.contains("permission denied"), "\(attempt): \(outcome)")
            }
            for attempt in [["put", keys[0], "{}"], ["del", "--prefix", "/services-by-node/"]] {
                let outcome = try await reader.control(attempt)
                #expect(!outcome.succeeded && outcome.errors.contains("permission denied"), "\(attempt): \(outcome)")
            }
            // A registrator that is set up to be host B gets no further with host A's password.
            let forger = try await scene.cluster.startRegister(
                "web", backends[0].endpoint, node: "hostB", hosts[0].flags + Self.layout)
            try await forger.firstLine(containing: "registry refuses a request")
            #expect(try await scene.root.table("/services") == before, "nothing has come of it")

            // Below its own node host A may write what it likes; as host B's it is not believed.
            let forged = "/services-by-node/hostA/web/forged"
            let value = #"{"host":"127.0.0.1","port":\#(backends[0].endpoint.port),"node":"hostB"}"#
            try await hosts[0].put(forged, value)
            let viewer = try await scene.root.makeUser(
                "viewer",
                [
                    (.read, "/services-by-node/"), (.read, "/services-nodes/"), (.read, "/services-holds/"),
                    (.read, "/services-overrides/"),
                ])
            let answer = try await scene.cluster.services(viewer.flags + Self.layout)
            #expect(answer.reason(ofKey: forged) == "node")
            #expect(keys.allSatisfy { answer.instance(ofKey: $0) != nil })

            // Each takes its own back, and the other's stands.
            try registrators[0].terminate()
            #expect(try await registrators[0].end() == .code(0))
            try await eventually("host A's instance out of use", within: .milliseconds(250)) {
                try await scene.cluster.names(behind: proxy) == ["B"]
            }
            #expect(try await scene.root.table(keys[1]) == before.filter { $0.key == keys[1] })
            for process in registrators + [proxy.process] {
                let refusals = process.lines(containing: "denied") + process.lines(containing: "refuses")
                #expect(refusals.isEmpty, "\(process.lastLines())")
            }
        }
    }

    /// The grants of docs/layouts.md for other forms: below a node's own names there, and nothing between.
    @Test func otherFormsNeedTheirNodesNamesAlone() async throws {
        try await withEtcdUsers(EtcdProcess.Version.allCases.last) { scene in
            let host = try await scene.root.makeUser(
                "hostA",
                [
                    (.readwrite, "/services-by-node/hostA/"), (.readwrite, "/services-nodes/hostA/"),
                    (.readwrite, "/skydns/lan/web/hosta-"), (.readwrite, "grpc/web/hostA:"),
                    (.readwrite, "/registrator/web/hostA:"),
                ])
            let backend = try await scene.cluster.backend("A")
            let forms = ["--also", "skydns:lan", "--also", "naming:grpc", "--also", "registrator"]
            let registrator = try await scene.cluster.startRegister(
                "web", backend.endpoint, node: "hostA", host.flags + Self.layout + forms)
            let roots = ["/skydns/lan/web/hosta-", "grpc/web/hostA:", "/registrator/web/hostA:"]
            for root in roots { try await waitFor(root) { try await scene.root.table(root).count == 1 } }
            try registrator.terminate()
            #expect(try await registrator.end() == .code(0))
            for root in roots { #expect(try await scene.root.table(root).isEmpty) }
            #expect(registrator.lines(containing: "refuses").isEmpty, "\(registrator.lastLines())")
        }
    }

    /// Every way that etcdctl has to change another host's entries.
    private static func attempts(on key: String, of node: String, _ scene: EtcdUserScene) async throws -> [[String]] {
        let lease = try await scene.lease(ofKey: key)
        return [
            ["put", key, "{}"], ["put", "/services-by-node/\(node)/web/new", "{}"],
            ["put", "/services-by-node/\(node)0/web/x", "{}"], ["put", "/services-by-node/x", "{}"],
            ["del", key], ["del", "--prefix", "/services-by-node/\(node)/"], ["del", "--prefix", "/services"],
            ["del", "/services-by-node/hostA/", "/services-by-node/z"],
            ["put", "/services-nodes/\(node)/forged", "{}"], ["lease", "revoke", lease],
        ]
    }
}
