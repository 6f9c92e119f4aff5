// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Etcd
import Logging
import Registration
import Registry
import RegistryEtcd
import ServiceModel
import TestSupport
import Testing

/// What a host with many instances costs etcd, as etcd counts it.
@Suite(.tags(.integration), .untilHung)
struct UpkeepCostTests {
    private static let services = 10
    private static let perService = 30
    private static let timeToLive = Duration.seconds(6)
    private static let upkeep = Duration.seconds(3)
    private static let watched = Duration.seconds(12)

    /// docs/promises.md, "Registration".
    @Test func threeHundredInstancesCostAKeepaliveAThirdOfTheirLifeAndAListingEachUpkeep() async throws {
        try await withEtcd { etcd in
            let client = try EtcdClient(
                configuration: EtcdConfiguration(endpoints: [try #require(EtcdEndpoint(etcd.url))]),
                logger: Logger(label: "upkeep") { _ in SwiftLogNoOpLogHandler() })
            let registrator = try Self.registrator(EtcdStore(client: client))
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.run() }
                let start = ContinuousClock.now
                group.addTask { try await registrator.run() }
                // Five times as long as promised: this is a debug build in the tests' own process. LabelCostTests holds the
                // release to it.
                try await eventually("300 instances registered", within: .seconds(10), since: start) {
                    try await etcd.keys("/services/").count == Self.services * Self.perService
                }
                try await Self.expectQuiet(etcd)
                group.cancelAll()
                while let result = await group.nextResult() { _ = result }
            }
        }
    }

    private static func registrator(_ store: EtcdStore) throws -> Registrator {
        let identity = NodeIdentity(
            node: "hostA", address: try #require(IPAddress("10.77.0.1")), zone: nil, version: "1", boot: "b",
            process: "p1")
        var settings = RegistratorConfiguration(layout: .standard, identity: identity)
        settings.timeToLive = timeToLive
        settings.upkeep = upkeep
        var registrations: [Registration] = []
        for service in 0..<services {
            for number in 0..<perService {
                registrations.append(
                    try Registration(
                        service: try #require(ServiceName("service-\(service)")),
                        endpoint: try #require(Endpoint("10.77.0.1:\(30_000 + service * perService + number)")),
                        instance: "hostA:c\(number):6379"))
            }
        }
        return Registrator(
            store: store, configuration: settings, registrations: registrations,
            logger: Logger(label: "upkeep") { _ in SwiftLogNoOpLogHandler() })
    }

    private static func expectQuiet(_ etcd: EtcdProcess) async throws {
        try await EtcdCost.expect(
            etcd, keepalive: timeToLive / 3, listing: upkeep, during: watched, of: services * perService)
    }
}
