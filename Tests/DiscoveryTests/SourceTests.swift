// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import TestSupport
import Testing

/// Entries that others wrote, where they wrote them.
@Suite(.timeLimit(.minutes(1))) struct SourceTests {
    private let redis: ServiceName
    private let web: ServiceName

    private func put(_ harness: WatcherHarness, _ key: String, _ value: String) async throws {
        _ = try await harness.memory.commit([
            RegistryWrite(key: key, condition: .none, operation: .put(Array(value.utf8), lease: nil))
        ])
    }

    init() throws {
        redis = try #require(ServiceName("redis"))
        web = try #require(ServiceName("web"))
    }

    @Test func eachEntryOfAServiceAsItLooks() async throws {
        let harness = try WatcherHarness()
        try await put(harness, "/services/redis/host:redis:6379", "10.0.0.1:6379")
        try await put(harness, "/services/redis/2", #"{"Op":0,"Addr":"10.0.0.2:6379","Metadata":null}"#)
        try await put(harness, "/services/redis/3", #"{"host":"10.0.0.3","port":6379,"ttl":60}"#)
        try await put(harness, "/services/redis/4", #"{"v":1,"host":"10.0.0.4","port":6379}"#)
        try await put(harness, "/services/redis/5", "neither")
        try await harness.running {
            try await harness.until((1...4).map(TableHarness.endpoint))
            #expect(try harness.report().skipped.map(\.reason) == [.json])
        }
    }

    @Test func aPrefixOfItsOwnIsWatchedAlone() async throws {
        let harness = try WatcherHarness(
            services: ["redis", "web"], sources: [web: EntrySource(format: .goZero, prefix: "user.rpc")])
        try await harness.put("/services/redis/1", TableHarness.endpoint(1))
        try await harness.put("/services/web/9", TableHarness.endpoint(9))
        try await put(harness, "user.rpc/7587870", "10.0.0.2:6379")
        try await put(harness, "user.rpc.other/1", "10.0.0.8:6379")
        try await put(harness, "user.rpc/deep/er", "10.0.0.3:6379")
        try await harness.running {
            try await harness.until([TableHarness.endpoint(1)])
            try await harness.until([2, 3].map(TableHarness.endpoint), of: "web")
            try await harness.delete("user.rpc/deep/er")
            try await harness.until([TableHarness.endpoint(2)], of: "web")
            try await put(harness, "user.rpc/4", "10.0.0.4:6379")
            try await harness.until([2, 4].map(TableHarness.endpoint), of: "web")
        }
        #expect(Set(harness.store.faults.ranges) == [.prefix("/services/redis/"), .prefix("user.rpc/")])
    }

    @Test func aFormatThatIsNamedIsTheOnlyOne() async throws {
        let harness = try WatcherHarness(sources: [redis: EntrySource(format: .naming)])
        try await put(harness, "/services/redis/1", #"{"Addr":"10.0.0.1:6379"}"#)
        try await put(harness, "/services/redis/2", "10.0.0.2:6379")
        try await harness.running {
            try await harness.until([TableHarness.endpoint(1)])
            #expect(try harness.report().skipped.map(\.reason) == [.json])
        }
    }

    /// What is refused is refused in every form.
    @Test(arguments: [
        ("169.254.169.254:80", EntryFormat.registrator), ("127.0.0.1:2375", .goZero), ("[::1]:1", .registrator),
        ("0.0.0.0:80", .goZero), (#"{"Addr":"169.254.169.254:80"}"#, .naming),
        (#"{"host":"127.0.0.1","port":80}"#, .skydns),
        (#"{"endpoints":["grpc://[fd00:ec2::254]:80"]}"#, .kratos),
        (#"{"host":"0.0.0.0","port":1,"name":"a"}"#, .nerve),
    ])
    func noFormOpensWhatIsForbidden(value: String, format: EntryFormat) async throws {
        let harness = try WatcherHarness(sources: [redis: EntrySource(format: format)])
        try await put(harness, "/services/redis/1", value)
        try await harness.running {
            try await harness.until([])
            #expect(try harness.report().skipped.count == 1)
        }
    }
}
