// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Logging
import TestSupport
import Testing

@testable import Etcd

@Suite struct EtcdTypesTests {
    @Test(arguments: [
        ("http://10.77.0.1:2379", "http://10.77.0.1:2379"),
        ("https://etcd-1.example:2379/", "https://etcd-1.example:2379"),
        ("http://[fd00::1]:2379", "http://[fd00::1]:2379"), ("10.0.0.1:4001", "http://10.0.0.1:4001"),
        ("http://etcd", "http://etcd:2379"), ("https://[::1]", "https://[::1]:2379"),
    ])
    func readsEndpoints(text: String, canonical: String) {
        #expect(EtcdEndpoint(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "http://", "http://:2379", "ftp://host:1", "http://host:0", "http://host:65536", "http://host:+1",
        "http://host:2379/v3", "http://user@host:2379", "http://::1:2379", "http://[::1:2379", "http://[host]:2379",
        "http://ho st:1",
    ])
    func refusesWhatIsNoEndpoint(text: String) {
        #expect(EtcdEndpoint(text) == nil)
    }

    @Test func aPrefixEndsBeforeTheNextKeyThatLacksIt() {
        #expect(KeyRange.prefix("/a/").end == Array("/a0".utf8))
        #expect(KeyRange.prefix("").start == [0])
        #expect(KeyRange.prefix("").end == [0])
    }

    @Test func theBackoffDoublesUnderItsCeiling() {
        let backoff = Backoff()
        #expect(backoff.delay(afterAttempt: 1, random: 0.5) == .milliseconds(25))
        #expect(backoff.delay(afterAttempt: 3, random: 1) == .milliseconds(200))
        #expect(backoff.delay(afterAttempt: 60, random: 1) == .seconds(5))
        #expect(backoff.delay(afterAttempt: 9, random: 0) == .zero)
    }

    @Test func aClientNeedsAnEndpointAndAWholeCertificate() throws {
        let logger = Logger(label: "test")
        #expect(throws: EtcdError.self) { try EtcdClient(configuration: .init(endpoints: []), logger: logger) }
        let endpoint = try #require(EtcdEndpoint("https://127.0.0.1:1"))
        let half = EtcdConfiguration(endpoints: [endpoint], tls: EtcdTLS(certificateFile: "/nowhere"))
        #expect(throws: EtcdError.self) { try EtcdClient(configuration: half, logger: logger) }
    }

    @Test(.timeLimit(.minutes(1))) func aCallWithoutAnyMemberFailsWithTheReason() async throws {
        // Port 1 of the loopback refuses at once.
        let endpoint = try #require(EtcdEndpoint("http://127.0.0.1:1"))
        var configuration = EtcdConfiguration(endpoints: [endpoint])
        configuration.requestTimeout = .milliseconds(500)
        let client = try EtcdClient(
            configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await client.run() }
            try await waitFor("a refusal") { client.knowledge.staleSince != nil }
            let failure = await #expect(throws: EtcdError.self) { try await client.get("/a") }
            #expect(failure?.code == .unavailable)
            #expect(failure?.message.contains("refused") == true, "\(String(describing: failure))")
            group.cancelAll()
        }
        #expect(client.knowledge.staleSince != nil)
    }
}
