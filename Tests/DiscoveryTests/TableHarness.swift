// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Discovery
import Registry
import ServiceModel
import Testing

extension EntryKey: ExpressibleByStringLiteral {
    public init(stringLiteral text: String) { self.init(text) }
}

/// An `EndpointTable` at work: a registry of one service with revisions and leases, backends that accept or not, and time.
///
/// Instance `n` stands under the key `<prefix>/redis/n` and listens at 10.0.0.n:6379 unless told otherwise.
struct TableHarness {
    static let layout = KeyLayout.standard

    var table: EndpointTable
    private(set) var now = Duration.zero
    var revision: Int64 = 1
    private(set) var entries: [String: RegistryEntry] = [:]
    /// Leases that the registry knows.
    var leases: Set<RegistryLease> = []
    /// Endpoints that accept connections.
    var accepting: Set<Endpoint> = []
    /// Questions that nobody has answered yet.
    private(set) var leaseQuestions: [(lease: RegistryLease, question: Int)] = []
    private(set) var probes: [(endpoint: Endpoint, question: Int)] = []
    private(set) var notices: [EndpointNotice] = []
    private var allocator: InstanceAllocator

    /// - Parameters:
    ///   - isListed: whether an empty listing is in.
    ///   - capacity: slots.
    init(
        hold: Duration = .seconds(60), policy: TargetPolicy = TargetPolicy(), selection: Selection = Selection(),
        source: EntrySource = EntrySource(), absence: AbsencePolicy = AbsencePolicy(), isListed: Bool = true,
        capacity: Int = InstanceAllocator.standardCapacity
    ) throws {
        allocator = InstanceAllocator(capacity: capacity)
        let service = try #require(ServiceName("redis"))
        table = EndpointTable(
            service: service, layout: Self.layout, policy: policy, hold: hold, absence: absence,
            source: source, selection: selection)
        if isListed { act(table.reset(RegistryListing(revision: 1, entries: []), now: .zero)) }
    }

    static func key(_ name: String) -> String { "/services/redis/\(name)" }

    static func endpoint(_ number: Int) -> Endpoint {
        Endpoint(IPAddress(v4: 0x0a00_0000 + UInt32(number)), port: 6379)
    }

    static func value(
        _ endpoint: Endpoint, state: InstanceRecord.State = .up, weight: Int = 100, proto: String = "tcp"
    ) -> [UInt8] {
        var record = InstanceRecord(endpoint: endpoint)
        record.state = state
        record.weight = weight
        record.proto = proto
        return record.encoded()
    }

    // MARK: The registry

    static func put(
        _ name: String, _ value: [UInt8], lease: RegistryLease? = nil
    ) -> (String, [UInt8], RegistryLease?) { (key(name), value, lease) }

    /// Writes keys in one revision, without telling the table.
    @discardableResult
    mutating func write(_ puts: [(String, [UInt8], RegistryLease?)], deleting names: [String] = []) -> [RegistryChange]
    {
        revision += 1
        var changes: [RegistryChange] = []
        for (key, value, lease) in puts {
            let entry = RegistryEntry(key: key, value: value, modRevision: revision, lease: lease)
            entries[key] = entry
            changes.append(.upsert(entry))
        }
        for name in names {
            entries[Self.key(name)] = nil
            changes.append(.remove(key: Self.key(name)))
        }
        return changes.sorted { $0.key < $1.key }
    }

    var listing: RegistryListing {
        RegistryListing(revision: revision, entries: entries.values.sorted { $0.key < $1.key })
    }

    // MARK: What the table is told

    mutating func put(_ name: String, _ value: [UInt8], lease: RegistryLease? = nil) {
        let changes = write([Self.put(name, value, lease: lease)])
        act(table.changed(changes, revision: revision, now: now))
    }

    /// Puts instances 1...count, each under a lease of its own number that lives, each accepting connections.
    mutating func putUp(_ count: Int) {
        for number in 1...count {
            accepting.insert(Self.endpoint(number))
            leases.insert(RegistryLease(Int64(number)))
            put("\(number)", Self.value(Self.endpoint(number)), lease: RegistryLease(Int64(number)))
        }
    }

    /// Deletes in one revision.
    mutating func delete(_ names: String...) { delete(names) }

    mutating func delete(_ names: [String]) {
        let changes = write([], deleting: names)
        act(table.changed(changes, revision: revision, now: now))
    }

    /// The lease of one instance ends and takes its key along.
    mutating func expire(_ number: Int) {
        leases.remove(RegistryLease(Int64(number)))
        delete("\(number)")
    }

    mutating func restore(_ known: [LastGood.Entry]) { act(table.restore(known, now: now)) }

    mutating func resolve(_ name: String, _ addresses: [IPAddress]) {
        act(table.resolved(name, to: addresses, now: now))
    }

    mutating func say(_ overrides: [EntryKey: EndpointTable.Override]) {
        act(table.overridesChanged(to: overrides, now: now))
    }

    mutating func reset() { act(table.reset(listing, now: now)) }

    /// Moves time on, stopping at every deadline of the table; questions are answered as soon as they are asked.
    mutating func pass(_ duration: Duration, isStale: Bool = false) {
        let end = now + duration
        while let deadline = table.nextDeadline, deadline <= end {
            now = max(now, deadline)
            act(table.timeReached(now, isStale: isStale))
            answer()
        }
        now = end
    }

    /// Moves time on and answers nothing.
    mutating func passSilently(_ duration: Duration) {
        now += duration
        act(table.timeReached(now, isStale: false))
    }

    /// Answers every open question by `leases` and `accepting`.
    mutating func answer() {
        while !leaseQuestions.isEmpty || !probes.isEmpty {
            let (asked, probed) = (leaseQuestions, probes)
            (leaseQuestions, probes) = ([], [])
            for (lease, question) in asked {
                act(table.leaseAnswered(question, isAlive: leases.contains(lease), now: now))
            }
            for (endpoint, question) in probed {
                act(table.probeAnswered(question, accepts: accepting.contains(endpoint), now: now))
            }
        }
    }

    mutating func act(_ actions: [EndpointAction]) {
        for action in actions {
            switch action {
            case .askLease(let lease, let question): leaseQuestions.append((lease, question))
            case .probe(let endpoint, let question): probes.append((endpoint, question))
            case .resolve: break
            case .tell(let notice): notices.append(notice)
            }
        }
    }

    // MARK: What the relay sees

    mutating func instances() -> [Instance] {
        let (current, left) = table.instances(from: &allocator) { _ in true }
        for instance in left { allocator.retire(instance.id, key: instance.key, endpoint: instance.endpoint) }
        return current
    }

    /// Numbers of the instances in use, see `endpoint(_:)`.
    var used: [Int] {
        mutating get {
            instances().compactMap { $0.endpoint?.address.v4 }.map { Int($0 & 0xff_ffff) }.sorted()
        }
    }

    mutating func id(of number: Int) -> InstanceID? {
        instances().first { $0.endpoint == Self.endpoint(number) }?.id
    }

    /// Keys of report rows in a state.
    func names(_ state: ServiceReport.State) -> [String] {
        table.report(now: now).instances.filter { $0.state == state }
            .map { String($0.key.dropFirst(Self.key("").count)) }
    }
}
