// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel

/// Decides which of the instances that could be published are: not before their ports accept connections, while the
/// engine is away as long as they do, and of those that claim one key the one that is fit.
///
/// Pure: times come by a stopwatch.
struct InstanceWatch: Sendable {
    /// A container at another address is another instance. So is another of its ports, though what stands for a loopback or
    /// unspecified binding may give both one address.
    struct ID: Sendable, Hashable {
        let container: String
        /// Inside the container.
        let port: UInt16
        let endpoint: Endpoint
        let transport: ContainerPort.Transport
    }

    /// An instance that the engine says is there.
    struct Offer: Sendable, Hashable {
        let id: ID
        let wanted: Wanted
        /// Whether the container's own health check stands behind it.
        let isChecked: Bool

        /// Only TCP says whether it is there.
        var isAskable: Bool { id.transport == .tcp }
        fileprivate var needsProbe: Bool { wanted.state == .up && !isChecked && isAskable }

        fileprivate var key: Key {
            Key(service: wanted.registration.service, instance: wanted.registration.instance)
        }

        /// Who is up before who is about to leave, then the lower id before the higher.
        fileprivate func goesBefore(_ other: Self) -> Bool {
            func rank(_ offer: Self) -> (Int, String, Endpoint, UInt16) {
                (offer.wanted.state == .up ? 0 : 1, offer.id.container, offer.id.endpoint, offer.id.port)
            }
            return rank(self) < rank(other)
        }
    }

    /// What is to be done, and told.
    struct Decision: Sendable {
        var wanted: [Wanted] = []
        /// What is not fit yet, and may stand all the same where a former process has published it.
        var tentative: [Wanted] = []
        /// What is believed in no longer while the engine is away.
        var ended: [ID: EngineOutage.End] = [:]
        /// What is published although its port has accepted no connection.
        var silent: [Offer] = []
        /// What is left out because another has its key.
        var rivals: [Rivalry] = []
    }

    /// Two containers for one key.
    struct Rivalry: Sendable, Hashable {
        let loser: Offer
        let winner: Offer
    }

    /// What a key is made of.
    fileprivate struct Key: Hashable {
        let service: ServiceName
        let instance: String
    }

    struct Probe: Sendable, Hashable {
        let id: ID
        /// Since when the engine is away; nil for a first probe.
        fileprivate let outage: Duration?
    }

    private struct Row: Sendable {
        var offer: Offer
        /// Whether it was there when we came: then a former process may have published it, and a port that we cannot reach
        /// ourselves must not be gone for as long as `FirstProbe` takes.
        let isOld: Bool
        /// Nil when it need not pass one.
        var first: FirstProbe?
        /// Whether it has been fit to be published since it was there.
        var isReady = false
        var outage: EngineOutage?
        /// What is being asked, so that it is not asked twice.
        var asking: Probe?

        /// Whether its answers count: one that we have never reached may be out of our reach alone.
        var isWitness: Bool { offer.isAskable && isReady && first?.hasAccepted ?? true }
    }

    /// In the order in which they were offered.
    private var order: [ID] = []
    private var rows: [ID: Row] = [:]
    private var hasOffers = false
    private var awaySince: Duration?

    // MARK: What happened

    /// - Parameter offers: all that there are; of several with one ID the first counts.
    mutating func offered(_ offers: [Offer], now: Duration) {
        var next: [ID: Row] = [:]
        var kept: [ID] = []
        for offer in offers where next[offer.id] == nil {
            var row = rows[offer.id] ?? Row(offer: offer, isOld: !hasOffers)
            row.offer = offer
            // Asked anew when it is not checked any more, or not paused any more.
            if !row.isReady, offer.needsProbe { row.first = row.first ?? FirstProbe(since: now) }
            if !row.isReady, offer.wanted.state == .up, !offer.needsProbe { row.isReady = true }
            if let awaySince, row.outage == nil { row.outage = EngineOutage(since: awaySince) }
            next[offer.id] = row
            kept.append(offer.id)
        }
        order = kept
        rows = next
        hasOffers = hasOffers || !kept.isEmpty
        timeReached(now)
    }

    /// The engine is away.
    mutating func lost(now: Duration) {
        guard awaySince == nil else { return }
        awaySince = now
        for id in order { rows[id]?.outage = EngineOutage(since: now) }
    }

    /// The engine is back.
    mutating func found() {
        awaySince = nil
        for id in order { rows[id]?.outage = nil }
    }

    mutating func timeReached(_ now: Duration) {
        for id in order where rows[id]?.first?.isOver(now: now) ?? false { rows[id]?.isReady = true }
    }

    // MARK: What follows

    func decision(now: Duration) -> Decision {
        var decision = Decision()
        var fit: [Row] = []
        var old: [Offer] = []
        for row in order.compactMap({ rows[$0] }) {
            if let end = row.outage?.end(now: now) {
                decision.ended[row.offer.id] = end
            } else if row.isReady || row.offer.wanted.state == .draining {
                fit.append(row)
            } else if row.isOld {
                old.append(row.offer)
            }
        }
        let winners = Dictionary(fit.map { ($0.offer.key, $0.offer) }) { $1.goesBefore($0) ? $1 : $0 }
        for row in fit {
            guard let winner = winners[row.offer.key], winner != row.offer else {
                decision.wanted.append(row.offer.wanted)
                if row.isReady, let first = row.first, !first.hasAccepted { decision.silent.append(row.offer) }
                continue
            }
            decision.rivals.append(Rivalry(loser: row.offer, winner: winner))
        }
        decision.tentative = old.filter { winners[$0.key] == nil }
            .map { Wanted($0.wanted.registration, isTentative: true) }
        return decision
    }

    /// When time alone changes the decision; nil for never.
    func deadline(now: Duration) -> Duration? {
        rows.values.flatMap { row -> [Duration] in
            let first = row.isReady ? nil : row.first?.deadline
            let outage = row.outage.flatMap { $0.end(now: now) == nil ? $0.deadline : nil }
            return [first, outage].compactMap(\.self)
        }.min()
    }

    // MARK: Probing

    /// Takes the probes that are due, those first that have waited longest: as many ports that answer nothing as there is
    /// room for must not keep the others from being asked. Whoever takes them carries them out.
    /// - Parameter limit: so many at most.
    mutating func takeProbes(now: Duration, limit: Int) -> [Probe] {
        guard limit > 0 else { return [] }
        let due = order.compactMap { id in rows[id].flatMap { Self.next($0, now: now) } }
            .filter { $0.dueAt <= now }.sorted { $0.dueAt < $1.dueAt }
        let probes = due.prefix(limit).map(\.probe)
        for probe in probes { rows[probe.id]?.asking = probe }
        return probes
    }

    /// When the next probe is due that nobody has taken; nil when there is none.
    func nextProbe(now: Duration) -> Duration? { rows.values.compactMap { Self.next($0, now: now)?.dueAt }.min() }

    /// - Parameter accepts: whether a connection was accepted.
    mutating func probed(_ probe: Probe, _ accepts: Bool, now: Duration) {
        guard var row = rows[probe.id], row.asking == probe else { return }
        row.asking = nil
        if probe.outage == nil {
            row.first?.probed(accepts, now: now)
        } else if row.outage?.since == probe.outage {
            row.outage?.probed(accepts, now: now)
        }
        rows[probe.id] = row
        timeReached(now)
    }

    private static func next(_ row: Row, now: Duration) -> (probe: Probe, dueAt: Duration)? {
        var next: (probe: Probe, dueAt: Duration)?
        if let first = row.first, !row.isReady, row.offer.needsProbe {
            next = (Probe(id: row.offer.id, outage: nil), first.nextProbe)
        } else if let outage = row.outage, row.isWitness, outage.end(now: now) == nil {
            next = (Probe(id: row.offer.id, outage: outage.since), outage.nextProbe)
        }
        guard let next, row.asking != next.probe else { return nil }
        return next
    }
}
