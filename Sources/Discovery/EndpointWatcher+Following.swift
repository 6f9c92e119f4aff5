// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
import ServiceModel
import Synchronization

// MARK: Listing, watching, auditing

extension EndpointWatcher {
    /// A registry that does not let us read is asked again this often: an operator has to mend it.
    private static let deniedInterval = Duration.seconds(30)
    /// Listings in a row, at least `restoredInterval` apart, that must be older than what is known before we believe that
    /// the registry was restored to an earlier state (docs/promises.md, "Reading") rather than that one member answers late.
    private static let restoredListings = 3
    private static let restoredInterval = Duration.seconds(1)
    /// A watch that has lived this long was a good one: the next failure is the first again.
    private static let settledTime = Duration.seconds(5)
    /// Between audits, for up to `auditedKeys` keys; in proportion beyond (docs/promises.md, "Reading").
    private static let auditInterval = Duration.seconds(60)
    private static let auditedKeys = 10_000
    /// What the watch gets to explain a difference that an audit has found, before it counts as missed.
    private static let auditGrace = Duration.seconds(2)

    /// A listing, or the watch's own, was older than what is known.
    private struct OlderListing: Error {
        let listing: RegistryListing
        let known: Int64
    }

    /// Lists and watches one scope for ever; whatever fails is tried again, and until then nothing changes.
    func follow(_ scope: Scope) async throws {
        var backoff = Backoff.ofReader
        var older = 0
        while true {
            var delay: Duration
            try Task.checkCancellation()
            do {
                let listing = try await store.list(scope.range)
                count(listing, of: scope)
                if older >= Self.restoredListings { startAnew(scope, with: listing) }
                try reset(scope, to: listing)
                log.readable(scope.range)
                older = 0
                let start = elapsed()
                try await watch(scope, from: listing.revision + 1)
                if elapsed() - start >= Self.settledTime { backoff.reset() }
                delay = backoff.next(random: random())
            } catch let error as OlderListing {
                older += 1
                log.olderListing(scope.range, revision: error.listing.revision, known: error.known)
                delay = Self.restoredInterval + backoff.next(random: random())
            } catch let error as RegistryError {
                log.unreadable(scope.range, error)
                delay = backoff.next(random: random())
                if error.code == .permissionDenied {
                    delay = jittered(Self.deniedInterval)
                    apply { tables, _ in
                        tables.setDenied(true, scope.services)
                        return []
                    }
                }
            } catch {
                try Task.checkCancellation()
                log.unreadable(scope.range, RegistryError(.unavailable, "unexpected error: \(error)"))
                delay = backoff.next(random: random())
            }
            try await clock.sleep(for: delay)
        }
    }

    /// Returns when the watch has ended or is to be begun anew.
    private func watch(_ scope: Scope, from revision: Int64) async throws {
        try await store.withWatch(scope.range, from: revision) { events in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for try await event in events { try self.handle(event, scope) }
                }
                group.addTask { await scope.restart.wait() }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
        try Task.checkCancellation()
    }

    private func handle(_ event: RegistryEvent, _ scope: Scope) throws {
        switch event {
        case .reset(let listing): try reset(scope, to: listing)
        case .changes(let revision, let changes):
            apply { $0.changed(changes, revision: revision, of: scope.services, now: $1) }
        }
    }

    private func reset(_ scope: Scope, to listing: RegistryListing) throws {
        var olderThan: Int64?
        apply { tables, now in
            let known = tables.revision(of: scope.services)
            guard let orders = tables.listed(listing, of: scope.services, now: now) else {
                olderThan = known
                return []
            }
            tables.setDenied(false, scope.services)
            return orders
        }
        if let olderThan { throw OlderListing(listing: listing, known: olderThan) }
    }

    private func startAnew(_ scope: Scope, with listing: RegistryListing) {
        apply { tables, _ in
            let known = tables.revision(of: scope.services)
            guard listing.revision < known else { return [] }
            log.historyWentBack(scope.range, revision: listing.revision, known: known)
            tables.historyWentBack(of: scope.services)
            return []
        }
    }

    // MARK: Audits

    /// Compares what is known with what is there, now and then: a watch can lose events (docs/promises.md, "Reading").
    func audit(_ scope: Scope) async throws {
        while true {
            try await clock.sleep(for: jittered(Self.auditInterval))
            let keys = state.withLock { max($0.tables.members, $0.listed.values.reduce(0, +)) }
            let scale = Double(keys) / Double(Self.auditedKeys)
            if scale > 1 { try await clock.sleep(for: jittered(Self.auditInterval * (scale - 1))) }
            do {
                try await auditOnce(scope)
            } catch let error as RegistryError {
                log.unreadable(scope.range, error)
            }
        }
    }

    private func auditOnce(_ scope: Scope) async throws {
        let known = state.withLock { $0.tables.revision(of: scope.services) }
        // Before the first listing there is nothing to compare.
        guard known > 0 else { return }
        let listing = try await store.list(scope.range, keysOnly: true)
        count(listing, of: scope)
        log.readable(scope.range)
        guard listing.revision >= known else {
            // What was known before we asked cannot be newer, unless history went back: then the watch is deaf.
            scope.restart.raise()
            return
        }
        var suspects = state.withLock { $0.tables.suspects(in: listing, of: scope.services) }
        guard !suspects.isEmpty else { return }
        try await clock.sleep(for: Self.auditGrace)
        suspects = state.withLock { $0.tables.remaining(of: suspects) }
        guard !suspects.isEmpty else { return }
        let values = try await store.list(scope.range)
        var drift = 0
        apply { tables, now in
            let before = tables.drift
            defer { drift = tables.drift - before }
            return tables.repaired(suspects, by: values, of: scope.services, now: now)
        }
        if drift > 0 { log.drifted(drift, in: scope.range) }
    }

    /// Remembers what an audit costs: a range may hold far more keys than those of the linked services.
    private func count(_ listing: RegistryListing, of scope: Scope) {
        state.withLock { $0.listed[scope.range] = listing.entries.count }
    }

    /// ±20 %, so that many proxies do not ask at once.
    private func jittered(_ duration: Duration) -> Duration { duration * (0.8 + 0.4 * random()) }
}

// MARK: Questions

extension EndpointWatcher {
    /// Answers questions, a bounded number at once, until cancelled.
    func answer<Question: Sendable>(
        _ questions: AsyncStream<Question>, with ask: @escaping @Sendable (Question) async -> Void
    ) async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            for await question in questions {
                if running == Self.questionsAtOnce {
                    await group.next()
                    running -= 1
                }
                group.addTask { await ask(question) }
                running += 1
            }
            group.cancelAll()
        }
    }

    func askLease(_ question: LeaseQuestion) async {
        let isAlive = await within(EndpointTable.questionLimit) { [store] in
            let left = try? await store.remaining(of: question.lease)
            return (left ?? .zero) > .zero
        }
        guard !Task.isCancelled else { return }
        apply { $0.leaseAnswered(question.question, of: question.service, isAlive: isAlive, now: $1) }
    }

    func probe(_ question: ProbeQuestion) async {
        let accepts = await within(EndpointTable.questionLimit) { [prober] in
            await prober.accepts(question.endpoint, within: EndpointTable.questionLimit)
        }
        guard !Task.isCancelled else { return }
        apply { $0.probeAnswered(question.question, of: question.service, accepts: accepts, now: $1) }
    }

    /// - Returns: what `body` says, false when it does not in time.
    private func within(_ limit: Duration, _ body: @escaping @Sendable () async -> Bool) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await body() }
            group.addTask { [clock] in
                try? await clock.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}
