// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Testing

@Suite struct ServiceReportTests {
    private func entry(_ key: String, _ value: String, lease: Int64? = nil, at revision: Int64 = 2) -> RegistryEntry {
        RegistryEntry(
            key: key, value: Array(value.utf8), modRevision: revision, lease: lease.map { RegistryLease($0) })
    }

    @Test func foldsAListingIntoRowsByService() throws {
        let listing = RegistryListing(
            revision: 9,
            entries: [
                entry("/services/", "{}"),
                entry("/services/pg/x", #"{"host":"10.0.0.1","port":5432,"proto":"udp"}"#),
                entry(
                    "/services/redis/a", #"{"host":"10.0.0.1","port":1,"node":"hostA","since":"2026-01-01T00:00:00Z"}"#,
                    lease: 7, at: 5),
                entry("/services/redis/b", #"{"host":"10.0.0.2","port":2,"state":"draining","weight":3}"#),
                entry("/services/redis/c", #"{"host":"127.0.0.1","port":2}"#),
            ])
        let (services, unplaced, _) = ServiceReport.fold(listing, layout: .standard, policy: TargetPolicy())
        #expect(services.map(\.service.description) == ["pg", "redis"])
        #expect(unplaced == [ServiceReport.SkippedRow(key: "/services/", reason: .key)])
        #expect(services[0].instances.isEmpty && services[0].skippedByReason == [.proto: 1])
        let redis = services[1]
        #expect(redis.revision == 9 && redis.count(.up) == 1 && redis.count(.draining) == 1)
        let first = try #require(redis.instances.first)
        #expect(first.key == "/services/redis/a" && first.endpoint == Endpoint("10.0.0.1:1") && first.state == .up)
        #expect(first.node == "hostA" && first.since == "2026-01-01T00:00:00Z")
        #expect(first.lease == RegistryLease(7) && first.modRevision == 5)
        #expect(redis.instances.map(\.state) == [.up, .draining] && redis.instances.map(\.weight) == [100, 3])
        #expect(redis.skipped == [ServiceReport.SkippedRow(key: "/services/redis/c", reason: .loopback)])
    }

    @Test func anEmptyListingHasNoServices() {
        let listing = RegistryListing(revision: 1, entries: [])
        let (services, unplaced, _) = ServiceReport.fold(listing, layout: .standard, policy: TargetPolicy())
        #expect(services.isEmpty && unplaced.isEmpty)
    }

    @Test func showsWhatNamesWereFoundToBe() throws {
        let entry = entry("/services/redis/a", #"{"host":"redis.lan","port":1}"#)
        let listing = RegistryListing(revision: 9, entries: [entry])
        var source = EntrySource()
        source.resolvesNames = true
        let fold = { (answers: [String: [IPAddress]]) in
            ServiceReport.fold(
                listing, layout: .standard, policy: TargetPolicy(), answers: answers, source: { _ in source })
        }
        let unknown = fold([:])
        #expect(unknown.names == ["redis.lan"] && unknown.services.first?.skippedByReason == [.unresolved: 1])
        let known = fold(["redis.lan": [TableHarness.endpoint(1).address, IPAddress.loopbackV4]])
        #expect(known.services.first?.instances.map(\.endpoint.description) == ["10.0.0.1:1"])
        #expect(known.services.first?.skippedByReason == [.loopback: 1])
    }
}
