// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// What the article shows: an ambassador that follows the keys of etcd while its clients go on.
@Suite(.tags(.integration), .untilHung)
struct FollowingTests {
    /// From a change in etcd to the first new connection that sees it (docs/promises.md, "The relay").
    private static let following = Duration.milliseconds(250)

    @Test(arguments: EtcdProcess.Version.allCases)
    func servesAnInstancePutByHandAndFollowsIt(version: EtcdProcess.Version) async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd(version)
            let first = try await stage.redis()
            let second = try await stage.redis()
            let secondID = try await RedisProcess.runID(at: second.endpoint)
            let key = "/services/redis-A/redis-demo.service"
            try await etcd.putInstance(key, first.endpoint)
            let proxy = try await stage.proxy("redis-A", etcd: etcd)
            #expect(try await RedisProcess.ask("PING", at: proxy.endpoint) == "PONG")
            #expect(
                try await RedisProcess.runID(at: proxy.endpoint) == RedisProcess.runID(at: first.endpoint))

            let live = try await blocking { try TCPConnection.connect(to: proxy.endpoint) }
            #expect(try await blocking { try RedisProcess.answer(to: "PING", on: live) } == "PONG")
            try await etcd.putInstance(key, second.endpoint)
            try await eventually("changed key followed (etcd \(version))", within: Self.following) {
                try await RedisProcess.runID(at: proxy.endpoint) == secondID
            }
            #expect(try await blocking { try RedisProcess.answer(to: "PING", on: live) } == "PONG")

            try await etcd.delete(key)
            try await eventually("deleted key followed (etcd \(version))", within: Self.following) {
                // Redis does not speak first: whoever still reaches it hears nothing.
                try await isReset(proxy.endpoint, limit: .milliseconds(300))
            }
            #expect(try await blocking { try RedisProcess.answer(to: "PING", on: live) } == "PONG")
        }
    }

    @Test func sharesNewConnectionsOverAllInstances() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            var backends: [Backend] = []
            for name in ["A", "B", "C"] {
                let backend = try await stage.backend(Backend.naming(name))
                backends.append(backend)
                try await etcd.putInstance("/services/web/\(name)", backend.endpoint)
            }
            let proxy = try await stage.proxy("web", etcd: etcd, ["--workers", "1"])
            for _ in 0..<30 { _ = try await servedBy(proxy.endpoint) }
            #expect(backends.map(\.dials.count) == [10, 10, 10])

            let fourth = try await stage.backend(Backend.naming("D"))
            try await etcd.putInstance("/services/web/D", fourth.endpoint)
            try await eventually("new instance used", within: Self.following) {
                _ = try await servedBy(proxy.endpoint)
                return fourth.dials.count > 0
            }
        }
    }

    @Test func carriesToInstancesOfBothFamilies() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let old = try await stage.backend(on: .loopbackV4, Backend.naming("v4"))
            let new = try await stage.backend(on: .loopbackV6, Backend.naming("v6"))
            try await etcd.putInstance("/services/web/old", old.endpoint)
            try await etcd.putInstance("/services/web/new", new.endpoint)
            let process = try await stage.legation(
                ["proxy", "--allow-target", "127.0.0.0/8", "--allow-target", "[::1/128]"] + etcd.arguments + ["web:0"])
            let bound = try await process.listeningEndpoint()
            for address in [IPAddress.loopbackV4, .loopbackV6] {
                let endpoint = Endpoint(address, port: bound.port)
                try await waitFor("both through \(endpoint)") {
                    try await serves(endpoint, exactly: ["v4", "v6"], window: 4)
                }
            }
        }
    }

    @Test func keepsServicesApartWhoseNamesBeginAlike() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let mine = try await stage.backend(Backend.naming("redis"))
            let other = try await stage.backend(Backend.naming("redis-A"))
            try await etcd.putInstance("/services/redis/x", mine.endpoint)
            try await etcd.putInstance("/services/redis-A/x", other.endpoint)
            try await etcd.putInstance("/services/redis0/x", other.endpoint)
            let process = try await stage.legation(
                ["proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8"] + etcd.arguments
                    + ["redis:0", "redis-A:0"])
            let one = try await process.listeningEndpoint(link: "redis")
            let two = try await process.listeningEndpoint(link: "redis-A")
            for _ in 0..<6 {
                #expect(try await servedBy(one) == "redis")
                #expect(try await servedBy(two) == "redis-A")
            }
        }
    }

    @Test func oneAddressUnderTwoKeysIsOneInstance() async throws {
        try await withStage { stage in
            let etcd = try await stage.etcd()
            let doubled = try await stage.backend(Backend.naming("doubled"))
            let single = try await stage.backend(Backend.naming("single"))
            try await etcd.putInstance("/services/web/a", doubled.endpoint)
            try await etcd.putInstance("/services/web/b", doubled.endpoint)
            try await etcd.putInstance("/services/web/c", single.endpoint)
            let proxy = try await stage.proxy("web", etcd: etcd, ["--workers", "1"])
            for _ in 0..<20 { _ = try await servedBy(proxy.endpoint) }
            #expect(doubled.dials.count == 10 && single.dials.count == 10)
        }
    }
}
