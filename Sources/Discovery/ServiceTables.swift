// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel

/// The tables of every linked service, and what they share: the slots, the limits and the order of snapshots.
///
/// Pure, like the tables: told what happened and when, it answers with what to do.
struct ServiceTables: Sendable {
    /// What one service wants done.
    struct Order: Sendable, Hashable {
        let service: ServiceName
        let action: EndpointAction
    }

    /// A snapshot that is new.
    struct Publication: Sendable {
        let service: ServiceName
        let snapshot: EndpointSnapshot
        let summary: Summary?
    }

    /// What the log says of a change.
    struct Summary: Sendable, Hashable {
        let up: Int
        let held: Int
        let draining: Int
        /// Left out by the link's selection.
        let others: Int
        let skipped: Int
        /// Snapshots since the last summary, this one included.
        let changes: Int
    }

    private struct Link: Sendable {
        var sequence: UInt64 = 0
        var instances: [Instance] = []
        var lastSummary: Duration?
        var untold = 0
        /// Whether it goes on with instances that are gone (`AbsencePolicy.Emptiness.keep`).
        var isKept = false
    }

    private struct Leaving: Sendable {
        let service: ServiceName
        let sequence: UInt64
        let instance: RetiredInstance
    }

    /// A service that changes all the time is summed up this often: its every change told would be a line per key.
    private static let summaryInterval = Duration.seconds(1)

    let layout: KeyLayout
    var tables: [ServiceName: EndpointTable]
    /// Before something is known of operators' words there is no first snapshot: it could have what they took out.
    var hearing = Hearing.nothing
    /// Services that we may not read.
    var denied: Set<ServiceName> = []
    /// How often that has changed.
    var denials = 0
    private var links: [ServiceName: Link]
    private var allocator: InstanceAllocator
    /// Instances that left with a snapshot, until the relay has that snapshot.
    private var leaving: [InstanceID: Leaving] = [:]
    /// Keys below the prefix that belong to no service, as far as a watch of the whole prefix showed them.
    private(set) var unplaced = 0
    /// Deletes of the last moments, by revision.
    var deletes: [Int64: Deletes] = [:]
    /// When the old ones of them were dropped last: once a second, not with each change.
    var deletesForgotten = Duration.zero
    private var newlyKept: [ServiceName] = []

    init(_ configuration: DiscoveryConfiguration, capacity: Int = InstanceAllocator.standardCapacity) {
        layout = configuration.layout
        tables = [:]
        links = [:]
        allocator = InstanceAllocator(capacity: capacity)
        for service in configuration.services {
            tables[service] = EndpointTable(
                service: service, layout: configuration.layout, policy: configuration.policy,
                hold: configuration.hold, absence: configuration.absences[service] ?? AbsencePolicy(),
                source: configuration.sources[service] ?? EntrySource(),
                selection: configuration.selections[service] ?? Selection())
            links[service] = Link()
        }
    }

    // MARK: What the registry said

    /// Newest revision that any of the services has.
    func revision(of services: [ServiceName]) -> Int64 { services.compactMap { tables[$0]?.revision }.max() ?? 0 }

    /// - Returns: nil when the listing is older than what one of the services has; then nothing has changed.
    mutating func listed(
        _ listing: RegistryListing, of services: [ServiceName], isConfirmed: Bool = true, now: Duration
    ) -> [Order]? {
        guard listing.revision >= revision(of: services) else { return nil }
        let parts = split(listing, among: services)
        return services.flatMap { service in
            let part = RegistryListing(revision: listing.revision, entries: parts[service] ?? [])
            return with(service) { $0.reset(part, isConfirmed: isConfirmed, now: now) }
        }
    }

    mutating func changed(
        _ changes: [RegistryChange], revision: Int64, of services: [ServiceName], now: Duration
    ) -> [Order] {
        if let service = alone(services) {
            let own = changes.filter { belongs($0.key, to: service) }
            let isShared = deleted(changes, by: own.isEmpty ? [] : [service], at: revision, now: now)
            let orders = isShared ? deletedWithOthers(than: [service], at: revision, now: now) : []
            guard !own.isEmpty else { return orders }
            return orders + with(service) { $0.changed(own, revision: revision, isShared: isShared, now: now) }
        }
        var parts: [ServiceName: [RegistryChange]] = [:]
        for change in changes {
            if let place = layout.parse(change.key) {
                parts[place.service, default: []].append(change)
            } else if case .upsert = change {
                unplaced += 1
            }
        }
        let affected = services.filter { parts[$0] != nil }
        let isShared = deleted(changes, by: affected, at: revision, now: now)
        let orders = isShared ? deletedWithOthers(than: affected, at: revision, now: now) : []
        return orders
            + affected.flatMap { service in
                with(service) {
                    $0.changed(parts[service] ?? [], revision: revision, isShared: isShared, now: now)
                }
            }
    }

    mutating func historyWentBack(of services: [ServiceName]) {
        for service in services { tables[service]?.historyWentBack() }
    }

    func suspects(in listing: RegistryListing, of services: [ServiceName]) -> [ServiceName: EndpointTable.Suspects] {
        let parts = split(listing, among: services)
        return Dictionary(
            uniqueKeysWithValues: services.compactMap { service in
                let part = RegistryListing(revision: listing.revision, entries: parts[service] ?? [])
                guard let suspects = tables[service]?.suspects(in: part), !suspects.isEmpty else { return nil }
                return (service, suspects)
            })
    }

    func remaining(of suspects: [ServiceName: EndpointTable.Suspects]) -> [ServiceName: EndpointTable.Suspects] {
        suspects.compactMapValues { $0 }.reduce(into: [:]) { rest, pair in
            guard let left = tables[pair.key]?.remaining(of: pair.value), !left.isEmpty else { return }
            rest[pair.key] = left
        }
    }

    mutating func repaired(
        _ suspects: [ServiceName: EndpointTable.Suspects], by listing: RegistryListing, of services: [ServiceName],
        now: Duration
    ) -> [Order] {
        let parts = split(listing, among: services)
        return suspects.sorted { $0.key < $1.key }.flatMap { service, suspects in
            let part = RegistryListing(revision: listing.revision, entries: parts[service] ?? [])
            return with(service) { $0.repaired(suspects, by: part, now: now) }
        }
    }

    // MARK: Everything else that happens

    mutating func leaseAnswered(_ question: Int, of service: ServiceName, isAlive: Bool, now: Duration) -> [Order] {
        with(service) { $0.leaseAnswered(question, isAlive: isAlive, now: now) }
    }

    mutating func probeAnswered(_ question: Int, of service: ServiceName, accepts: Bool, now: Duration) -> [Order] {
        with(service) { $0.probeAnswered(question, accepts: accepts, now: now) }
    }

    /// A name stands for these addresses, whichever services have it.
    mutating func resolved(_ name: String, to addresses: [IPAddress], now: Duration) -> [Order] {
        tables.keys.sorted().flatMap { service in with(service) { $0.resolved(name, to: addresses, now: now) } }
    }

    /// What has to be looked up.
    var names: Set<String> { tables.values.reduce(into: []) { $0.formUnion($1.names) } }

    mutating func timeReached(_ now: Duration, isStale: Bool) -> [Order] {
        tables.keys.sorted().filter { (tables[$0]?.nextDeadline ?? .seconds(Int64.max)) <= now }.flatMap { service in
            with(service) { $0.timeReached(now, isStale: isStale) }
        }
    }

    mutating func ownEndpointsChanged(to own: Set<Endpoint>, now: Duration) -> [Order] {
        tables.keys.sorted().flatMap { service in with(service) { $0.ownEndpointsChanged(to: own, now: now) } }
    }

    /// When `timeReached` is to be called next.
    var nextDeadline: Duration? { tables.values.compactMap(\.nextDeadline).min() }

    /// Whether an instance waits for a slot, so that `publications` is to be asked again without any change.
    var isShortOfSlots: Bool { tables.values.contains(where: \.isShortOfSlots) }

    /// Keys of all services, for the pace of audits.
    var members: Int { tables.values.reduce(0) { $0 + $1.members } }

    var drift: Int { tables.values.reduce(0) { $0 + $1.counters.drift } }

    func reports(now: Duration) -> [ServiceReport] {
        tables.sorted { $0.key < $1.key }.map { $0.value.report(now: now) }
    }

    /// What is held, of all services.
    func held(now: Duration) -> [HoldPublisher.Held] { tables.values.flatMap { $0.held(now: now) } }

    // MARK: Snapshots

    /// - Parameters:
    ///   - havePassedOn: whether the relay has a snapshot of the service at least as new.
    ///   - released: as in `InstanceAllocator.acquire`.
    /// - Returns: a snapshot of each listed service whose instances have changed, the first one always.
    mutating func publications(
        now: Duration, havePassedOn: (ServiceName, UInt64) -> Bool, released: (InstanceID) -> Bool
    ) -> [Publication] {
        settleLeaving(havePassedOn)
        guard hearing != .nothing else { return [] }
        var publications: [Publication] = []
        for service in tables.keys.sorted() {
            guard var table = tables[service], var link = links[service] else { continue }
            guard table.isListed, table.hasChanged || table.isShortOfSlots else { continue }
            // With nothing left, its links go on with what they have, if they have anything.
            let kept = table.keepsLast ? table.kept(of: link.instances) : []
            if !kept.isEmpty, !link.isKept { newlyKept.append(service) }
            link.isKept = !kept.isEmpty
            var (instances, left) = (kept, [RetiredInstance]())
            if kept.isEmpty {
                tables[service] = nil
                (instances, left) = table.instances(from: &allocator, released: released)
                tables[service] = table
            }
            // Of what is kept, who has gone otherwise is retired with the next that are not.
            if let publication = publish(instances, left, of: service, table, &link, now) {
                publications.append(publication)
            }
            links[service] = link
        }
        return publications
    }

    /// - Returns: nil where the links have it already.
    private mutating func publish(
        _ instances: [Instance], _ left: [RetiredInstance], of service: ServiceName, _ table: EndpointTable,
        _ link: inout Link, _ now: Duration
    ) -> Publication? {
        guard instances != link.instances || link.sequence == 0 else { return nil }
        link.sequence += 1
        link.instances = instances
        for instance in left {
            leaving[instance.id] = Leaving(service: service, sequence: link.sequence, instance: instance)
        }
        let summary = Self.summary(of: table, &link, now: now)
        let snapshot = EndpointSnapshot(sequence: link.sequence, instances: instances)
        return Publication(service: service, snapshot: snapshot, summary: summary)
    }

    /// Services that have become empty and whose links go on with what they had, since this was last asked.
    mutating func takeNewlyKept() -> [ServiceName] {
        defer { newlyKept = [] }
        return newlyKept
    }

    /// Summaries that were put off and are due, and when the next one is.
    mutating func overdueSummaries(now: Duration) -> (due: [(ServiceName, Summary)], next: Duration?) {
        var due: [(ServiceName, Summary)] = []
        var next: Duration?
        for (service, var link) in links where link.untold > 0 {
            guard let table = tables[service], let last = link.lastSummary else { continue }
            if let summary = Self.summary(of: table, &link, isNew: false, now: now) {
                links[service] = link
                due.append((service, summary))
            } else {
                next = min(next ?? last + Self.summaryInterval, last + Self.summaryInterval)
            }
        }
        return (due.sorted { $0.0 < $1.0 }, next)
    }

    private static func summary(
        of table: EndpointTable, _ link: inout Link, isNew: Bool = true, now: Duration
    ) -> Summary? {
        if isNew { link.untold += 1 }
        if let last = link.lastSummary, now - last < summaryInterval { return nil }
        defer {
            link.lastSummary = now
            link.untold = 0
        }
        let states = table.states
        return Summary(
            up: states[.up, default: 0], held: states[.held, default: 0], draining: states[.draining, default: 0],
            others: table.unselected, skipped: table.skippedCount, changes: link.untold)
    }

    /// Gives slots back for good once the relay knows that their instances are gone.
    private mutating func settleLeaving(_ havePassedOn: (ServiceName, UInt64) -> Bool) {
        for (id, left) in leaving where havePassedOn(left.service, left.sequence) {
            leaving[id] = nil
            // It may have come back since.
            if links[left.service]?.instances.includes(id) ?? false { continue }
            allocator.retire(id, key: left.instance.key, endpoint: left.instance.endpoint)
        }
    }

    // MARK: Within

    mutating func with(
        _ service: ServiceName, _ body: (inout EndpointTable) -> [EndpointAction]
    ) -> [Order] {
        // Taken out while it works, so that it is changed in place.
        guard var table = tables.removeValue(forKey: service) else { return [] }
        table.membersElsewhere = tables.values.reduce(0) { $0 + $1.members }
        let orders = body(&table).map { Order(service: service, action: $0) }
        tables[service] = table
        return orders
    }

    private func split(_ listing: RegistryListing, among services: [ServiceName]) -> [ServiceName: [RegistryEntry]] {
        if let service = alone(services) {
            return [service: listing.entries.filter { belongs($0.key, to: service) }]
        }
        var parts: [ServiceName: [RegistryEntry]] = [:]
        for entry in listing.entries {
            guard let place = layout.parse(entry.key), tables[place.service] != nil else { continue }
            parts[place.service, default: []].append(entry)
        }
        return parts
    }

    /// The one service of a range that is its own; nil for a range of many, in which what is nobody's is not this one's.
    private func alone(_ services: [ServiceName]) -> ServiceName? {
        guard services.count == 1, let service = services.first else { return nil }
        return layout.order == .serviceFirst || tables[service]?.source.prefix != nil ? service : nil
    }

    /// Whether a key of the service's range is its own: `a/` also covers the keys of `a/b`, which are not, and keys that
    /// are nobody's, which it shows as skipped.
    private func belongs(_ key: String, to service: ServiceName) -> Bool {
        if tables[service]?.source.prefix != nil { return true }
        return layout.parse(key).map { $0.service == service } ?? true
    }
}
