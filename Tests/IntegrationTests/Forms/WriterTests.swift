// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// Entries as others write them, and as `register --also` does, read back by a proxy: a client meets who is meant.
@Suite(.tags(.integration), .untilHung)
struct WriterTests {
    /// A documented example, with a backend's address in the place of the example's.
    private struct Example {
        let service: String
        /// `--format` for the service; nil: found out by how it looks.
        let format: String?
        let key: String
        /// `%h` and `%p` stand for host and port.
        let value: String
    }

    /// Where each comes from stands in docs/formats.md.
    private static let examples = [
        Example(
            service: "article", format: nil, key: "/services/article/redis-demo.service",
            value: #"{"port":%p,"host":"%h"}"#),
        Example(
            service: "registrator", format: nil, key: "/services/registrator/host1:redis:6379", value: "%h:%p"),
        Example(
            service: "naming", format: "naming:foo/bar/my-service", key: "foo/bar/my-service/e1",
            value: #"{"Op":0,"Addr":"%h:%p","Metadata":"metadata1"}"#),
        Example(
            service: "skydns", format: "skydns:/skydns/local/skydns/east/production/rails",
            key: "/skydns/local/skydns/east/production/rails/1", value: #"{"host":"%h","port":%p,"ttl":60}"#),
        Example(
            service: "coredns", format: nil, key: "/services/coredns/x1",
            value: #"{"host":"%h","port":%p,"priority":10,"weight":20,"text":"text","ttl":60,"group":"g1"}"#),
        Example(
            service: "kratos", format: "kratos:/microservices/helloworld", key: "/microservices/helloworld/0a1b2c",
            value: #"{"id":"0a1b2c","name":"helloworld","version":"v1.0.0","metadata":{},"#
                + #""endpoints":["http://127.0.0.9:8000?isSecure=false","grpc://%h:%p?isSecure=false"]}"#),
        Example(service: "go-zero", format: "go-zero:user.rpc", key: "user.rpc/7587870116171545", value: "%h:%p"),
        Example(
            service: "nerve", format: "nerve:/nerve/services/db", key: "/nerve/services/db/i-1234",
            value: #"{"host":"%h","port":%p,"name":"i-1234","weight":10,"labels":{"az":"us-east-1a"}}"#),
    ]

    @Test func documentedExamplesLeadToWhomTheyName() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            var (formats, links): ([String], [String]) = ([], [])
            var ports: [String: UInt16] = [:]
            for example in Self.examples {
                let backend = try await stage.backend(Backend.naming(example.service))
                let value = example.value.replacing("%h", with: "\(backend.endpoint.address)")
                    .replacing("%p", with: "\(backend.endpoint.port)")
                try await etcd.put(example.key, value)
                if let format = example.format { formats += ["--format", "\(example.service)=\(format)"] }
                let port = try FreePorts.take()
                ports[example.service] = port
                links.append("\(example.service):\(port)")
            }
            let proxy = try await stage.legation(
                ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + etcd.arguments + formats + links)
            for example in Self.examples {
                let client = Endpoint(.loopbackV4, port: try #require(ports[example.service]))
                try await proxy.firstLine(containing: "listening", "\(client)")
                for _ in 0..<3 { #expect(try await servedBy(client) == example.service) }
            }
        }
    }

    @Test func ownFormsForOthersAreReadBack() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let backend = try await stage.backend(Backend.naming("A"))
            let registrator = try await stage.register(
                "web", backend.endpoint, etcd: etcd, ["--also", "skydns:lan,naming:grpc,registrator"])
            // Each form alone: our own entry is not under these prefixes.
            let formats = ["skydns:/skydns/lan/web", "naming:grpc/web", "registrator:/registrator/web"]
            let proxies = try await formats.asyncMap { format in
                try await stage.proxy("web", etcd: etcd, ["--format", "web=\(format)", "--hold", "0"])
            }
            for proxy in proxies {
                try await waitFor("the form's instance") { try await servedBy(proxy.endpoint) == "A" }
            }
            // None of the forms knows draining: they go when it begins.
            let asked = ContinuousClock.now
            try registrator.process.terminate()
            for (proxy, format) in zip(proxies, formats) {
                try await eventually("\(format) gone", within: .milliseconds(300 + 250), since: asked) {
                    try await isReset(proxy.endpoint)
                }
            }
        }
    }
}
