// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// `register --also`: what readers of other programs' forms make of it. The readers are written from those programs'
/// documents, and first read what stands there.
@Suite(.tags(.integration), .untilHung)
struct FormTests {
    private func key(_ key: String, _ value: String) -> EtcdKey { EtcdKey(key: key, value: value) }

    @Test func theReadersUnderstandTheDocumentedExamples() throws {
        let skydns = SkyDNSReader(keys: [
            key(
                "/skydns/local/skydns/x5", #"{"host":"skydns-local.server","ttl":60,"priority":10,"port":8080}"#),
            key("/skydns/local/cluster/redis/redis-1", #"{"host":"10.0.0.1","port":6379}"#),
        ])
        #expect(SkyDNSReader.path(of: "service.staging.skydns.local.") == "/skydns/local/skydns/staging/service")
        #expect(try skydns.services("skydns.local").map(\.text) == ["10 100 8080 skydns-local.server."])
        #expect(try skydns.addresses("redis.cluster.local") == ["10.0.0.1"])
        let naming = NamingReader(keys: [
            key("foo/bar/my-service/1.2.3.4", #"{"Addr":"1.2.3.4","Metadata":"..."}"#),
            key("foo/bar/my-service/e1", #"{"Op":0,"Addr":"1.2.3.4:80","Metadata":null}"#),
        ])
        #expect(try naming.endpoints("etcd:///foo/bar/my-service") == ["1.2.3.4", "1.2.3.4:80"])
        let registrator = RegistratorReader(keys: [key("/p/redis/hostname:redis.0:6379", "192.168.1.102:10000")])
        #expect(
            try registrator.services(below: "/p") == [
                .init(
                    name: "redis", host: "hostname", container: "redis.0", exposedPort: "6379", isUDP: false,
                    address: "192.168.1.102", port: 10000)
            ])
    }

    /// The examples again, written by us: the same keys, and the same to their readers.
    @Test func whatIsRegisteredReadsAsTheDocumentedExamples() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let node = ["register", "--node", "hostname"] + etcd.arguments
            let arguments = [
                ["--address", "1.2.3.4:80", "--instance", "e1", "--also", "naming:foo/bar", "my-service"],
                [
                    "--address", "192.168.1.102:10000", "--instance", "hostname:redis.0:6379", "--also",
                    "registrator:/p", "redis",
                ],
                ["--address", "10.0.0.1:6379", "--instance", "redis-1", "--also", "skydns:cluster.local", "redis"],
            ]
            for one in arguments { _ = try await stage.legation(node + one) }
            let keys = try await waitForValue("three forms") {
                let keys = try await etcd.keys("foo/bar/") + etcd.keys("/p/") + etcd.keys("/skydns/")
                return keys.count == 3 ? keys : nil
            }
            #expect(
                keys.map(\.key) == [
                    "foo/bar/my-service/e1", "/p/redis/hostname:redis.0:6379", "/skydns/local/cluster/redis/redis-1",
                ])
            #expect(try NamingReader(keys: keys).endpoints("etcd:///foo/bar/my-service") == ["1.2.3.4:80"])
            let service = try #require(try RegistratorReader(keys: keys).services(below: "/p").first)
            #expect(service.container == "redis.0" && service.address == "192.168.1.102" && service.port == 10000)
            let answers = try SkyDNSReader(keys: keys).services("redis.cluster.local")
            #expect(answers.map(\.text) == ["10 100 6379 redis-1.redis.cluster.local."])
        }
    }

    /// A service in upper case and an id with colons, of two instances: DNS has names for all of it.
    @Test func namesOfDNSLeadToEveryInstance() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            for (node, weight) in [("hostA", "50"), ("hostB", "100")] {
                let address = "10.77.0.\(weight):6379"
                _ = try await stage.legation(
                    ["register", "--node", node, "--address", address, "--also", "skydns:lan"] + etcd.arguments
                        + ["shop/redis-A", "weight=\(weight)", "priority=1"])
            }
            let keys = try await waitForValue("both") {
                let keys = try await etcd.keys("/skydns/")
                return keys.count == 2 ? keys : nil
            }
            let reader = SkyDNSReader(keys: keys)
            #expect(try reader.addresses("Redis-A.shop.lan.") == ["10.77.0.50", "10.77.0.100"])
            let services = try reader.services("redis-a.shop.lan")
            #expect(services.map(\.weight) == [50, 100])
            #expect(services.allSatisfy { $0.priority == 11 && $0.port == 6379 && $0.ttl == 10 })
            // Where a target leads, one label each.
            let targets = services.map(\.target)
            #expect(try targets.flatMap(reader.addresses) == ["10.77.0.50", "10.77.0.100"])
            #expect(targets.allSatisfy { $0.split(separator: ".").count == 4 && !$0.contains(":") }, "\(targets)")
        }
    }

    @Test func allFormsLeaveWithTheFirst() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let forms = ["--also", "skydns:lan,naming:/grpc", "--also", "registrator"]
            let address = Endpoint(.loopbackV4, port: 6379)
            let registrator = try await stage.register("web", address, etcd: etcd, forms + ["--drain-time", "2s"])
            let roots = ["/skydns/", "/grpc/", "/registrator/"]
            let keys = try await roots.asyncMap { try await etcd.keys($0) }.flatMap(\.self)
            let lease = try #require(try await etcd.key(registrator.key)).lease
            #expect(keys.count == 3 && keys.allSatisfy { $0.lease == lease })
            try await etcd.withChanges("/") { changes in
                let asked = ContinuousClock.now
                try registrator.process.terminate()
                let draining = try await changes.first("draining") { $0.key.json["state"] as? String == "draining" }
                for key in keys {
                    let gone = try await changes.deletion(of: key.key)
                    #expect(gone.key.modRevision <= draining.key.modRevision, "not in use while the other drains")
                }
                report(draining.at - asked, "draining, and other forms gone", promise: .milliseconds(300))
                _ = try await changes.deletion(of: registrator.key)
            }
            #expect(try await registrator.process.end() == .code(0))
        }
    }
}
