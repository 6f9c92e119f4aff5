// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Testing

@testable import Registration

@Suite struct RegistrationPlannerTests {
    private let lease = RegistryLease(1)
    private let other = RegistryLease(2)
    private let key = "/services/redis/i0"
    private let now = RegistrationPlanner.Moment(.zero, "now")

    private func planner(_ count: Int = 1) throws -> RegistrationPlanner {
        let registrations = try (0..<count).map { try Fixture.registration(instance: "i\($0)") }
        var planner = RegistrationPlanner(
            layout: .standard, identity: Fixture.identity(), drainTime: .seconds(1),
            wanted: registrations.map { Wanted($0) })
        planner.leaseGranted(lease)
        return planner
    }

    private func entry(_ node: String?, lease: RegistryLease?, at revision: Int64 = 9) throws -> RegistryEntry {
        var record = InstanceRecord(endpoint: try #require(Endpoint("10.66.0.1:1")))
        record.node = node
        return RegistryEntry(key: key, value: record.encoded(), modRevision: revision, lease: lease)
    }

    private func plan(
        _ planner: inout RegistrationPlanner, _ entry: RegistryEntry?, isAlive: Bool = false,
        isWithdrawing: Bool = false
    ) -> RegistrationPlanner.Plan {
        if isWithdrawing { planner.withdrawalBegan() }
        return planner.plan(standing: [key: .init(entry, isLeaseAlive: isAlive)], now: now)
    }

    private func published(at revision: Int64 = 9) throws -> RegistrationPlanner {
        var planner = try planner()
        let plan = plan(&planner, nil)
        _ = planner.committed(plan.writes, revision: revision, at: .zero)
        return planner
    }

    @Test func createsWhatIsAbsent() throws {
        var planner = try planner()
        let plan = plan(&planner, nil)
        #expect(plan.writes.map(\.condition) == [.absent] && plan.notices.isEmpty && !plan.isContested)
        guard case .put(let value, lease) = plan.writes.first?.operation else {
            Issue.record("no put under our lease")
            return
        }
        let record = try InstanceRecord(decoding: value)
        #expect(record.node == "hostA" && record.state == .up && record.since == "now")
        let notices = planner.committed(plan.writes, revision: 9, at: .zero)
        #expect(notices == [.registered(try Fixture.registration(instance: "i0"), key: key)])
    }

    /// Who stands, under which lease, whether that lives, whether we had published: what we do.
    @Test(
        arguments: [
            // An entry without a lease is nobody's who lives, unless it says that it is another node's.
            (nil, nil, false, false, "replace"), ("hostA", nil, false, false, "replace"),
            ("hostB", nil, false, false, "foreign"), ("hostB", nil, false, true, "changed"),
            (nil, nil, false, true, "changed"),
            // Our node's former process: taken over at once. A newer one: left alone.
            ("hostA", 2, true, false, "replace"), ("hostA", 2, true, true, "yield"),
            ("hostA", 2, false, true, "replace"),
            // Another node's.
            ("hostB", 2, true, false, "foreign"), ("hostB", 2, true, true, "foreign"),
            ("hostB", 2, false, false, "replace"),
            (nil, 2, true, false, "foreign"), (nil, 2, false, true, "replace"),
            // Changed under our own lease.
            ("hostB", 1, true, true, "changed"), ("hostA", 1, true, false, "replace"),
        ] as [(String?, Int64?, Bool, Bool, String)])
    func decidesWhoseAKeyIs(
        _ node: String?, _ leaseID: Int64?, _ isAlive: Bool, _ wasPublished: Bool, _ expected: String
    ) throws {
        var planner = try wasPublished ? published(at: 5) : planner()
        let entry = try entry(node, lease: leaseID.map { RegistryLease($0) })
        let plan = plan(&planner, entry, isAlive: isAlive)
        let replaced = plan.writes.map(\.condition) == [.unchanged(modRevision: 9)]
        switch expected {
        case "replace": #expect(replaced && plan.notices.isEmpty && !plan.isContested)
        case "changed": #expect(replaced && plan.notices == [.changed(key: key)] && !plan.isContested)
        case "foreign":
            #expect(plan.writes.isEmpty && plan.isContested)
            #expect(plan.notices == [.foreignOwner(key: key, node: node)])
        default: #expect(plan.writes.isEmpty && plan.isContested && plan.notices == [.yielded(key: key)])
        }
    }

    @Test func ourOwnFormerLeaseIsOurs() throws {
        var planner = try published(at: 5)
        planner.leaseLost()
        planner.leaseGranted(other)
        let plan = plan(&planner, try entry("hostA", lease: lease), isAlive: true)
        #expect(plan.writes.count == 1 && !plan.isContested && plan.notices.isEmpty)
        #expect(planner.isOwn(lease) && planner.isOwn(other) && !planner.isOwn(RegistryLease(3)))
    }

    /// The store took the write and its answer was lost: it is not written again.
    @Test func recognisesItsOwnValue() throws {
        var planner = try planner()
        guard case .put(let value, _) = plan(&planner, nil).writes.first?.operation else {
            Issue.record("no put")
            return
        }
        let standing = RegistryEntry(key: key, value: value, modRevision: 7, lease: lease)
        #expect(planner.reading([key: standing]).keys == [key])
        let plan = plan(&planner, standing)
        #expect(
            plan.writes.isEmpty && plan.notices == [.registered(try Fixture.registration(instance: "i0"), key: key)])
        let reading = planner.reading([key: standing])
        #expect(reading.keys.isEmpty && reading.standing[key] == nil)
        #expect(planner.removals() == [.delete(key, modRevision: 7)])
    }

    @Test func repeatsAreNotTold() throws {
        var planner = try planner()
        let entry = try entry("hostB", lease: other)
        #expect(plan(&planner, entry, isAlive: true).notices.count == 1)
        let second = plan(&planner, entry, isAlive: true)
        #expect(second.notices.isEmpty && second.repeated.count == 1)
        // Once all was well in between, it is news again.
        let mended = plan(&planner, nil)
        _ = planner.committed(mended.writes, revision: 12, at: .zero)
        #expect(plan(&planner, entry, isAlive: true).notices.count == 1)
    }

    @Test func aRemovedKeyIsPutBack() throws {
        var planner = try published()
        let plan = plan(&planner, nil)
        #expect(plan.writes.map(\.condition) == [.absent] && plan.notices == [.changed(key: key)])
    }

    @Test func sinceIsTheFirstPublication() throws {
        var planner = try published()
        planner.leaseLost()
        planner.leaseGranted(other)
        let plan = planner.plan(standing: [key: .init(nil)], now: .init(.zero, "later"))
        guard case .put(let value, _) = plan.writes.first?.operation else {
            Issue.record("no put")
            return
        }
        #expect(try InstanceRecord(decoding: value).since == "now")
    }

    @Test func drainsOnlyWhatStandsAsOurs() throws {
        var planner = try published(at: 9)
        guard case .put(let value, lease)? = planner.drain(now: now).first?.operation,
            planner.drain(now: now).count == 1
        else {
            Issue.record("nothing to drain")
            return
        }
        #expect(try InstanceRecord(decoding: value).state == .draining)
        #expect(plan(&planner, try entry("hostB", lease: other), isAlive: true, isWithdrawing: true).writes.isEmpty)
        #expect(planner.drain(now: now).isEmpty && planner.removals().isEmpty)
        #expect(plan(&planner, nil, isWithdrawing: true).writes.isEmpty)
        var fresh = try self.planner()
        #expect(plan(&fresh, try entry("hostA", lease: nil), isWithdrawing: true).writes.isEmpty)
    }

    @Test func writesNothingWithoutALease() throws {
        var planner = try published()
        planner.leaseLost()
        #expect(plan(&planner, nil).writes.isEmpty && planner.drain(now: now).isEmpty && planner.removals().isEmpty)
    }

    @Test func thePresenceKeyIsOursWhateverStandsThere() throws {
        var planner = try planner()
        let presence = try #require(planner.keys.first)
        #expect(presence == "/services-nodes/hostA/p1")
        let entry = RegistryEntry(key: presence, value: [1], modRevision: 3, lease: other)
        let plan = planner.plan(standing: [presence: .init(entry, isLeaseAlive: true)], now: now)
        #expect(plan.writes.map(\.condition) == [.unchanged(modRevision: 3)] && !plan.isContested)
    }

    @Test func onlyAnotherMachineIsARival() throws {
        let planner = try planner()
        func presence(_ text: String) -> [RegistryEntry] {
            [RegistryEntry(key: "/services-nodes/hostA/x", value: Array(text.utf8), modRevision: 1, lease: nil)]
        }
        #expect(planner.rival(among: []) == nil)
        #expect(planner.rival(among: presence(#"{"v":1,"boot":"boot1"}"#)) == nil)
        #expect(planner.rival(among: presence("{")) == nil)
        #expect(planner.rival(among: presence(#"{"v":2,"boot":"boot2"}"#)) == nil)
        #expect(planner.rival(among: presence(#"{"boot":"boot2"}"#))?.boot == "boot2")
    }
}

@Suite struct RegistrationTests {
    @Test func namesAnInstanceByNodeHostAndPort() {
        #expect(Registration.instanceName(node: "h", host: "10.0.0.1", port: 80) == "h:10.0.0.1:80")
        #expect(Registration.instanceName(node: "fd00::1", host: "::", port: 1) == "fd00%3A%3A1:%3A%3A:1")
    }

    @Test func refusesWhatNobodyCouldRead() throws {
        let service = try #require(ServiceName("redis"))
        let endpoint = try #require(Endpoint("10.0.0.1:80"))
        let long = try RecordFields(arguments: ["x=" + String(repeating: "x", count: 4000)])
        let fits = try RecordFields(arguments: ["x=" + String(repeating: "x", count: 3700)])
        #expect(throws: Registration.Problem.self) {
            try Registration(service: service, endpoint: endpoint, fields: long, instance: "i")
        }
        #expect(throws: Registration.Problem.self) {
            try Registration(service: service, endpoint: endpoint, instance: "a/b")
        }
        #expect(throws: Registration.Problem.self) {
            try Registration(service: service, endpoint: Endpoint(endpoint.address, port: 0), instance: "i")
        }
        #expect(try Registration(service: service, endpoint: endpoint, fields: fits, instance: "i").fields == fits)
    }

    /// A node's name may take three bytes for each of its own in a key.
    @Test func refusesAKeyThatNobodyWouldRead() throws {
        let service = try #require(ServiceName(String(repeating: "s", count: 190)))
        let endpoint = try #require(Endpoint("10.0.0.1:80"))
        let registration = try Registration(
            service: service, endpoint: endpoint, instance: String(repeating: "i", count: 200))
        let node = String(repeating: ":", count: 40)
        var layout = KeyLayout.standard
        try registration.check(in: layout, also: [], node: node)
        layout.order = .nodeFirst
        #expect(throws: Registration.Problem.self) { try registration.check(in: layout, also: [], node: node) }
        try registration.check(in: layout, also: [], node: "hostA")
    }

    @Test func refusesAServiceThatAFormCannotName() throws {
        let service = try #require(ServiceName("a..b"))
        let registration = try Registration(
            service: service, endpoint: try #require(Endpoint("10.0.0.1:80")), instance: "i")
        let forms = try ["naming", "registrator"].map { try #require(SecondForm($0)) }
        try registration.check(in: .standard, also: forms, node: "hostA")
        let skydns = try #require(SecondForm("skydns"))
        #expect(throws: Registration.Problem.self) {
            try registration.check(in: .standard, also: forms + [skydns], node: "hostA")
        }
    }
}

@Suite struct BackoffTests {
    @Test func doublesUpToTenSecondsAndStartsAgain() {
        var backoff = Backoff.ofWriter
        let longest = (0..<7).map { _ in backoff.next(random: 1) }
        #expect(longest == [0.5, 1, 2, 4, 8, 10, 10].map { Duration.seconds($0) })
        #expect(backoff.next(random: 0) == .seconds(5))
        backoff.reset()
        #expect(backoff.next(random: 0) == .milliseconds(250))
    }
}
